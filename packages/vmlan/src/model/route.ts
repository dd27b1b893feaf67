/**
 * One row of the route table: method, path and the schemas of what goes in and out.
 *
 * Zone: control.
 */
import type * as z from 'zod';

/** What has an address of its own, and an entity tag against lost updates. */
export type ResourceKind = 'network' | 'guest' | 'forward' | 'record' | 'shape';

export interface Route<Params, Query, Body, Result> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `:name` and `:id` are replaced by the URI-encoded parameter. */
  readonly path: string;
  readonly summary: string;
  /** What the path names; for a route of status 201, what is made. Its changes are made one after the other. */
  readonly resource?: ResourceKind;
  /** Only on the unix socket, which its owner alone can open. */
  readonly local?: true;
  /** Status of success: 200, 201 for what was created, 204 without a body. */
  readonly status: 200 | 201 | 204;
  readonly params: z.ZodType<Params, Params>;
  readonly query: z.ZodType<Query, Query>;
  /** `nothingSchema`: no body is sent. */
  readonly body: z.ZodType<Body, Body>;
  readonly result: z.ZodType<Result>;
}
