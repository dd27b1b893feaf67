/**
 * What the API needs from whoever runs the networks: one function per route, the versions of what has an entity tag,
 * and a stream of events.
 *
 * Zone: control.
 */
import type { Readable } from 'node:stream';
import type {
  ApiRoutes,
  CaptureQuery,
  EventView,
  LogEntry,
  LogsQuery,
  ResourceKind,
  Route,
  RouteName,
  StreamRouteName,
} from '../model/api.ts';

export interface ApiRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /**
   * For a route that replaces what its path does not name: throws `precondition-failed` when a condition of the request
   * stands against this version of it; null: there is none yet.
   */
  readonly checkVersion?: (version: unknown) => void;
}

type HandlerOf<R> =
  R extends Route<infer Params, infer Query, infer Body, infer Result>
    ? (request: ApiRequest<Params, Query, Body>) => Result | Promise<Result>
    : never;

export type ApiHandlers = { readonly [Name in Exclude<RouteName, StreamRouteName>]: HandlerOf<ApiRoutes[Name]> };

/**
 * All that is configured or registered about a thing with this name or id, and nothing that changes by itself.  Throws
 * VmlanError `not-found`.
 */
export type VersionSource = Readonly<Record<ResourceKind, (key: string) => unknown>>;

export interface EventSource {
  /** Those with a later id that are still known, the oldest first. */
  after(id: number): readonly EventView[];
  /** Calls back for each event from now on.  Throws VmlanError `exhausted` when as many listen as may. */
  subscribe(listener: (event: EventView) => void): Disposable;
}

export interface OpenCapture {
  readonly id: string;
  /** Destroying it ends the capture. */
  readonly stream: Readable;
}

export interface LogSource {
  /**
   * The newest lines, and what comes when that is wanted, as it is asked for; the signal ends it.  Throws VmlanError: no
   * such network, too many readers.
   */
  open(query: LogsQuery, signal: AbortSignal): Promise<AsyncIterable<readonly LogEntry[]>>;
}

export interface CaptureSource {
  /** Throws VmlanError: nobody of that name, no such filter, too many captures. */
  open(query: CaptureQuery): Promise<OpenCapture>;
}
