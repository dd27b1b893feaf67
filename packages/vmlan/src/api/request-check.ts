/**
 * Parameters, queries and bodies against the schemas of their route: the value, or an error that names the place.
 *
 * Zone: control.
 */
import type * as z from 'zod';
import { VmlanError } from '../core/errors.ts';

export function checked<Value>(schema: z.ZodType<Value>, value: unknown, place: string): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = issue.path.length === 0 ? place : issue.path.map(String).join('.');
  throw new VmlanError('invalid', `${where}: ${withValue(valueAt(value, issue.path), issueText(issue))}`, {
    hint: issue.code === 'unrecognized_keys' && issue.path[0] === 'config' ? KEYS_HINT : undefined,
  });
}

const KEYS_HINT = 'every key of a network, and what it may be: vmlan config schema';
const MAX_SHOWN_CHARS = 64;

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const step of path) found = (found as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[step];
  return found;
}

/** Before the reason what was sent, where it is short enough to be recognised and not said already. */
function withValue(value: unknown, reason: string): string {
  const isPlain = typeof value === 'string' || typeof value === 'number';
  const text = isPlain ? JSON.stringify(value) : '';
  return text === '' || text.length > MAX_SHOWN_CHARS || reason.startsWith(text) ? reason : `${text}: ${reason}`;
}

function issueText(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`;
  if (issue.code === 'invalid_type')
    return `not ${issue.expected === 'undefined' ? 'allowed' : `of type ${issue.expected}`}`;
  if (issue.code === 'invalid_value') return `none of ${issue.values.map(String).join(', ')}`;
  // A bound that the schema has no words of its own for.
  if (issue.code === 'too_big' && issue.message.startsWith('Too big'))
    return `more than ${issue.maximum}${unit(issue)}`;
  if (issue.code === 'too_small' && issue.message.startsWith('Too small'))
    return `less than ${issue.minimum}${unit(issue)}`;
  return issue.message;
}

const unit = ({ origin }: { readonly origin: string }): string =>
  origin === 'string' ? ' characters' : origin === 'array' ? ' entries' : '';
