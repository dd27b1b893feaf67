/**
 * One field of many, by name: `vmlan show web network ip`, `vmlan network show lab gateway`.
 *
 * Zone: control.
 */
import { VmlanError } from '../../client/errors.ts';

export type Field = readonly [name: string, value: string | number | null];

/**
 * The value as text. Throws `usage` for a name that is no field and `not-found` for a field without a value, with `hint`
 * if there is one.
 */
export function pickField(
  fields: readonly Field[],
  name: string,
  owner: string,
  hint?: (field: string) => string | undefined,
): string {
  const field = fields.find(([known]) => known === name);
  if (field === undefined)
    throw unknownField(
      name,
      fields.map(([known]) => known),
    );
  const [, value] = field;
  if (value === null || value === '') {
    throw new VmlanError('not-found', `${owner} has no ${name} now`, { hint: hint?.(name) });
  }
  return String(value);
}

export function unknownField(name: string, known: readonly string[]): VmlanError {
  return new VmlanError('usage', `there is no field "${name}"`, { hint: `one of: ${known.join(', ')}` });
}
