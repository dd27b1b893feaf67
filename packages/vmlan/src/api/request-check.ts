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
  throw new VmlanError('invalid', `${where}: ${issueText(issue)}`);
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
