/**
 * YAML, in a file of its own that is imported when it is wanted: most commands print none.
 *
 * Zone: control.
 */
export { parse, stringify } from 'yaml';
