/**
 * Who may ask: by the unix socket whoever could open it, over TCP whoever has the token; a page in a browser never.
 *
 * Zone: control.  A browser sends what a page of any origin tells it, also to loopback, and also under a name that its
 * owner makes lead there (DNS rebinding).  So a `Host` that is not ours is refused, and so is every `Origin` but our own
 * and every `Sec-Fetch-Site` but our own; there are neither cookies nor CORS headers.  Tokens are compared in constant
 * time.  Wrong ones are counted, and after MAX_FAILURES in a minute answered with a time to wait; the right one always
 * passes, so that nobody can lock the owner out.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { VmlanError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';

/** Wrong tokens within FAILURE_WINDOW_MS before the answer is `too-many-requests`. */
export const MAX_FAILURES = 20;
const FAILURE_WINDOW_MS = 60_000;

export type Listener =
  { readonly kind: 'unix' } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

interface Request {
  /** What requestedHost says. */
  readonly host: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Refusal {
  readonly error: VmlanError;
  readonly headers: Readonly<Record<string, string>>;
}

export const REFUSAL_REASONS: readonly ['host', 'origin', 'token', 'rate'] = ['host', 'origin', 'token', 'rate'];
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

export class Access {
  /** How many requests were refused, by reason. */
  readonly refused: Record<RefusalReason, number> = { host: 0, origin: 0, token: 0, rate: 0 };
  readonly #token: () => Promise<string>;
  #failures = 0;
  #windowStartMs = -FAILURE_WINDOW_MS;

  constructor(token: () => Promise<string>) {
    this.#token = token;
  }

  /** null: the request may go on. */
  async check(listener: Listener | null, { host, headers }: Request, nowMs: number): Promise<Refusal | null> {
    if (listener === null)
      return this.#refuse('host', 'not-permitted', 'the connection came in nowhere', 'connect again');
    if (listener.kind === 'unix') return this.#checkPage(headers, null);
    if (!ownNames(listener).includes(host)) {
      const message = `the API is not served as ${JSON.stringify(host)}`;
      return this.#refuse('host', 'misdirected', message, `ask it as ${ownNames(listener)[0]!}`);
    }
    return this.#checkPage(headers, `http://${host}`) ?? (await this.#checkToken(headers.authorization, nowMs));
  }

  #checkPage(headers: IncomingHttpHeaders, own: string | null): Refusal | null {
    const { origin, 'sec-fetch-site': site } = headers;
    const isForeign = origin !== undefined && origin.toLowerCase() !== own;
    // A page of another port of this host is of the same site.
    const isFromPage = site !== undefined && (own === null || (site !== 'same-origin' && site !== 'none'));
    if (!isForeign && !isFromPage) return null;
    const who = origin === undefined ? 'a page of another origin' : `a page of ${JSON.stringify(origin)}`;
    return this.#refuse('origin', 'not-permitted', `${who} may not use the API`, 'use the command line, or a program');
  }

  async #checkToken(authorization: string | undefined, nowMs: number): Promise<Refusal | null> {
    const given = /^Bearer +([\w-]{1,256})$/i.exec(authorization ?? '')?.[1];
    if (given !== undefined && isSame(given, await this.#token())) return null;
    if (nowMs - this.#windowStartMs >= FAILURE_WINDOW_MS) [this.#failures, this.#windowStartMs] = [0, nowMs];
    if (++this.#failures > MAX_FAILURES) {
      const seconds = Math.ceil((this.#windowStartMs + FAILURE_WINDOW_MS - nowMs) / 1000);
      const hint = 'wait, or use the unix socket';
      return this.#refuse('rate', 'too-many-requests', 'too many wrong tokens within a minute', hint, {
        'retry-after': String(seconds),
      });
    }
    const message = given === undefined ? 'the request has no token' : 'the token is not the one of this daemon';
    return this.#refuse('token', 'unauthorized', message, 'set VMLAN_TOKEN to what `vmlan token` prints', {
      'www-authenticate': 'Bearer realm="vmlan"',
    });
  }

  #refuse(
    reason: RefusalReason,
    code: ErrorCode,
    message: string,
    hint: string,
    headers: Readonly<Record<string, string>> = {},
  ): Refusal {
    this.refused[reason]++;
    return { error: new VmlanError(code, message, { hint }), headers: { ...headers, connection: 'close' } };
  }
}

/** What `Host` may say; a port of 80 need not be written. */
function ownNames({ host, port }: { readonly host: string; readonly port: number }): readonly string[] {
  const names = [host.includes(':') ? `[${host}]` : host, 'localhost'];
  return names.flatMap((name) => (port === 80 ? [`${name}:80`, name] : [`${name}:${port}`]));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Digests have one length and tell nothing of how much was right. */
const isSame = (given: string, wanted: string): boolean => timingSafeEqual(digest(given), digest(wanted));
