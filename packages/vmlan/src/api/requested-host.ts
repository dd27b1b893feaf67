/**
 * Which host a request is meant for (RFC 9112 §3.2).
 *
 * Zone: control.  Whoever decides by the `Host` header must read it as everybody on the way does: it is there once, and
 * an absolute target goes before it.
 */
import type { IncomingMessage } from 'node:http';
import { VmlanError } from '../core/errors.ts';

export type RequestHead = Pick<IncomingMessage, 'url' | 'headers' | 'rawHeaders' | 'httpVersion'>;

const ABSOLUTE_TARGET = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/** In lower case; empty when HTTP/1.0 names none.  Throws VmlanError `invalid`. */
export function requestedHost({ url = '', headers, rawHeaders, httpVersion }: RequestHead): string {
  const count = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  // RFC 9112 §3.2: 400 to a request of HTTP/1.1 without Host, and to any with more than one.
  if (count > 1 || (count === 0 && httpVersion === '1.1')) {
    throw new VmlanError('invalid', count === 0 ? 'the request has no Host header' : `${count} Host headers`, {
      hint: 'send Host once; on the unix socket its value does not matter',
    });
  }
  return (ABSOLUTE_TARGET.exec(url)?.[1] ?? headers.host ?? '').toLowerCase();
}
