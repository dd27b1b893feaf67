/**
 * Entity tags and conditional requests (RFC 9110 §8.8.3, §13.1): nobody overwrites what he has not seen.
 *
 * Zone: control.  Pure.  A tag is made from what is configured or registered about a resource, never from its counters,
 * so that it changes when somebody changes it and stays over restarts.
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { canonicalJson } from '../core/canonical-json.ts';
import { VmlanError } from '../core/errors.ts';

/** 128 bits are enough to tell versions apart. */
const ETAG_BYTES = 16;
const ENTITY_TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;

export function etagOf(version: unknown): string {
  const digest = createHash('sha256').update(canonicalJson(version)).digest();
  return `"${digest.subarray(0, ETAG_BYTES).toString('base64url')}"`;
}

export type ConditionalHeaders = Pick<IncomingHttpHeaders, 'if-match' | 'if-none-match'>;

export const isConditional = (headers: ConditionalHeaders): boolean =>
  headers['if-match'] !== undefined || headers['if-none-match'] !== undefined;

/** RFC 9110 §13.2.2: `not-modified` is for GET and HEAD alone. */
export type Verdict = 'proceed' | 'not-modified' | 'failed';

/** `etag` null: there is no such resource yet, so that not even `*` matches. */
export function evaluate(method: string, headers: ConditionalHeaders, etag: string | null): Verdict {
  const match = headers['if-match'];
  // RFC 9110 §13.1.1: strong comparison, a weak tag never matches.
  if (match !== undefined && (!listed('If-Match', match, (tag) => tag === etag) || etag === null)) return 'failed';
  const noneMatch = etag === null ? undefined : headers['if-none-match'];
  // RFC 9110 §13.1.2: weak comparison.
  if (noneMatch === undefined || !listed('If-None-Match', noneMatch, (tag) => tag.replace(/^W\//, '') === etag))
    return 'proceed';
  return method === 'GET' || method === 'HEAD' ? 'not-modified' : 'failed';
}

function listed(name: string, header: string, isSame: (tag: string) => boolean): boolean {
  if (header.trim() === '*') return true;
  const tags = header.split(',').map((tag) => tag.trim());
  const wrong = tags.find((tag) => !ENTITY_TAG.test(tag));
  if (wrong !== undefined) {
    throw new VmlanError('invalid', `${name}: ${JSON.stringify(wrong)} is no entity tag`, {
      hint: 'send what the ETag header of an answer says, quotes included',
    });
  }
  return tags.some(isSame);
}
