/**
 * Resources: where each has its address, its entity tag, and its changes one after the other.
 *
 * Zone: control.  A condition is judged and the change it guards made before the next change of the same resource
 * begins, so that of two editors who read the same version only one succeeds.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { VmlanError } from '../core/errors.ts';
import { Serial } from '../core/serial.ts';
import { API_ROUTES } from '../model/api.ts';
import type { ResourceKind, RouteName } from '../model/api.ts';
import type { VersionSource } from './handlers.ts';
import { etagOf, evaluate, isConditional } from './preconditions.ts';

const ADDRESSES: Readonly<Record<ResourceKind, RouteName>> = {
  network: 'getNetwork',
  guest: 'getGuest',
  forward: 'getForward',
  record: 'getRecord',
  shape: 'getShape',
};

/** The path's parameter that names the resource; also the key of its document. */
const keyName = (kind: ResourceKind): string => /:(\w+)$/.exec(API_ROUTES[ADDRESSES[kind]].path)![1]!;

const READ_AGAIN = 'somebody changed it meanwhile: read it again, and repeat the change';

const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD';

const isDryRun = ({ query }: FastifyRequest): boolean => (query as { readonly dryRun?: unknown }).dryRun === 'true';

export class Resources {
  readonly #versions: VersionSource;
  readonly #changes = new Serial();

  constructor(versions: VersionSource) {
    this.#versions = versions;
  }

  /** Answers a request about one resource: `act` makes the document, unless a condition stands against it. */
  async answer(
    kind: ResourceKind,
    request: FastifyRequest,
    reply: FastifyReply,
    act: () => Promise<unknown>,
  ): Promise<unknown> {
    const key = (request.params as Readonly<Record<string, string>>)[keyName(kind)];
    if (key === undefined && isDryRun(request)) {
      void reply.status(200); // nothing was made
      return act();
    }
    if (key === undefined && request.method === 'PUT') return this.#replaced(kind, reply, act);
    if (key === undefined) {
      checkVersion(kind, request, null);
      return this.#created(kind, reply, act);
    }
    if (isReading(request.method)) return this.#read(kind, key, request, reply, act);
    return this.#changes.run(`${kind} ${key}`, async () => {
      if (isConditional(request.headers)) await this.#check(kind, key, request);
      const result = await act();
      if (request.method === 'PATCH' || request.method === 'PUT')
        void reply.header('etag', await this.#etag(kind, keyIn(kind, result) ?? key));
      return result;
    });
  }

  async #etag(kind: ResourceKind, key: string): Promise<string> {
    return etagOf(await this.#versions[kind](key));
  }

  async #created(kind: ResourceKind, reply: FastifyReply, act: () => Promise<unknown>): Promise<unknown> {
    const result = await act();
    const name = keyName(kind);
    const key = (result as Readonly<Record<string, string>>)[name]!;
    const location = API_ROUTES[ADDRESSES[kind]].path.replace(`:${name}`, encodeURIComponent(key));
    void reply.headers({ location, etag: await this.#etag(kind, key) });
    return result;
  }

  /** Its condition was judged by who found out what is replaced. */
  async #replaced(kind: ResourceKind, reply: FastifyReply, act: () => Promise<unknown>): Promise<unknown> {
    const result = await act();
    void reply.header('etag', await this.#etag(kind, keyIn(kind, result)!));
    return result;
  }

  async #read(
    kind: ResourceKind,
    key: string,
    request: FastifyRequest,
    reply: FastifyReply,
    act: () => Promise<unknown>,
  ): Promise<unknown> {
    // Before the document: a change in between leaves the reader with a tag that is too old, never one that is too new.
    const etag = await this.#etag(kind, key);
    const verdict = evaluate(request.method, request.headers, etag);
    if (verdict === 'failed') throw changed(kind, key);
    void reply.header('etag', etag);
    if (verdict === 'proceed') return act();
    void reply.status(304);
    return undefined;
  }

  async #check(kind: ResourceKind, key: string, request: FastifyRequest): Promise<void> {
    const verdict = evaluate(request.method, request.headers, await this.#etag(kind, key));
    if (verdict !== 'proceed') throw changed(kind, key);
  }
}

/** Throws `precondition-failed`; `version` null: there is none yet. */
export function checkVersion(kind: ResourceKind, { method, headers }: FastifyRequest, version: unknown): void {
  if (!isConditional(headers)) return;
  const etag = version === null ? null : etagOf(version);
  if (evaluate(method, headers, etag) !== 'proceed')
    throw new VmlanError('precondition-failed', `the ${kind} is not what the request was made for`, {
      hint: version === null ? 'there is none yet: repeat it without If-Match' : READ_AGAIN,
    });
}

/** A change may have given the resource another name. */
const keyIn = (kind: ResourceKind, result: unknown): string | undefined =>
  (result as Readonly<Record<string, string | undefined>>)[keyName(kind)];

const changed = (kind: ResourceKind, key: string): VmlanError =>
  new VmlanError('precondition-failed', `${kind} "${key}" is no longer what the request was made for`, {
    hint: READ_AGAIN,
  });
