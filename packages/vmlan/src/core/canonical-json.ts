/**
 * One text for equal values, in whatever order their keys were set: for fingerprints and entity tags.
 *
 * Zone: control.  Pure.  What JSON does not know is left out, as JSON.stringify does; nothing at all is the empty text.
 */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? ''
  );
}
