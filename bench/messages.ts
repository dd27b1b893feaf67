/**
 * What an error says, as it may stand in a report: without the folders of the machine it was met on.
 *
 * Zone: control. Pure.
 */

/** An absolute path of two names or more, also as a URL; what precedes it must not make it a part of something else. */
const ABSOLUTE = /(?<![\w.:/~-])(?:(?:file|unix):\/\/)?(?:\/[\w.@+~-]+)+\/([\w.@+~-]+)/g;

/** Each absolute path becomes its last name. */
export const withoutFolders = (text: string): string => text.replaceAll(ABSOLUTE, '$1');

export const messageOf = (error: unknown): string =>
  withoutFolders((error instanceof Error ? error.message : String(error)).trim());
