/**
 * What the API needs from whoever runs the networks: one function per route, and a stream of events.
 *
 * Zone: control.
 */
import type { ApiRoutes, EventView, Route, RouteName } from '../model/api.ts';

export interface ApiRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
}

type HandlerOf<R> =
  R extends Route<infer Params, infer Query, infer Body, infer Result>
    ? (request: ApiRequest<Params, Query, Body>) => Result | Promise<Result>
    : never;

export type ApiHandlers = { readonly [Name in Exclude<RouteName, 'events'>]: HandlerOf<ApiRoutes[Name]> };

export interface EventSource {
  /** Calls back for each event from now on, and first for those after `afterId` that are still known. */
  subscribe(listener: (event: EventView) => void, afterId: number | null): Disposable;
}
