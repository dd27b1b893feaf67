/**
 * The route table of the HTTP API: method, path and the schemas of all that goes in and out.
 *
 * Zone: control.  The daemon's routes and the client are both made from this table.  Errors are problem+json
 * (`Problem`).  `events`, `capture` and `logs` answer streams: server-sent events whose `data` is an `EventView`, a file in
 * pcapng or a `CapturedLine` a line, and a `LogEntry` a line.
 */
import * as z from 'zod';
import { backupSchema } from './backup.ts';
import type { Backup } from './backup.ts';
import { NETWORK_CONFIG_ROUTES } from './network-config-routes.ts';
import type { NetworkConfigRoutes } from './network-config-routes.ts';
import { flowViewSchema, flowsQuerySchema } from './flows.ts';
import type { FlowView, FlowsQuery } from './flows.ts';
import { lookupQuerySchema, lookupViewSchema } from './lookups.ts';
import type { LookupQuery, LookupView } from './lookups.ts';
import { probeInputSchema, probeResultSchema } from './probe.ts';
import type { ProbeInput, ProbeResult } from './probe.ts';
import type { Route } from './route.ts';
import { captureQuerySchema, capturedLineSchema } from './captures.ts';
import type { CaptureQuery, CapturedLine } from './captures.ts';
import { logEntrySchema, logsQuerySchema } from './logs.ts';
import type { LogEntry, LogsQuery } from './logs.ts';
import {
  attachInputSchema,
  detachInputSchema,
  eventsQuerySchema,
  forwardInputSchema,
  guestInputSchema,
  guestPatchSchema,
  idParamsSchema,
  namedParamsSchema,
  networkQuerySchema,
  nothingSchema,
  recordInputSchema,
  shutdownInputSchema,
} from './requests.ts';
import type {
  AttachInput,
  DetachInput,
  EventsQuery,
  ForwardInput,
  GuestInput,
  GuestPatch,
  IdParams,
  NamedParams,
  NetworkQuery,
  Nothing,
  RecordInput,
  ShutdownInput,
} from './requests.ts';
import { shapeInputSchema, shapeViewSchema } from './shape.ts';
import type { ShapeInput, ShapeView } from './shape.ts';
import {
  attachResultSchema,
  eventViewSchema,
  forwardViewSchema,
  guestViewSchema,
  healthViewSchema,
  leaseViewSchema,
  networkViewSchema,
  recordViewSchema,
  statusViewSchema,
  tokenViewSchema,
} from './views.ts';
import type {
  AttachResult,
  EventView,
  ForwardView,
  GuestView,
  HealthView,
  LeaseView,
  NetworkView,
  RecordView,
  StatusView,
  TokenView,
} from './views.ts';

export interface ApiRoutes extends NetworkConfigRoutes {
  readonly health: Route<Nothing, Nothing, Nothing, HealthView>;
  readonly status: Route<Nothing, Nothing, Nothing, StatusView>;
  readonly takeBackup: Route<Nothing, Nothing, Nothing, Backup>;
  readonly shutdown: Route<Nothing, Nothing, ShutdownInput, null>;
  readonly getToken: Route<Nothing, Nothing, Nothing, TokenView>;
  readonly rotateToken: Route<Nothing, Nothing, Nothing, TokenView>;
  readonly listNetworks: Route<Nothing, Nothing, Nothing, readonly NetworkView[]>;
  readonly getNetwork: Route<NamedParams, Nothing, Nothing, NetworkView>;
  readonly startNetwork: Route<NamedParams, Nothing, Nothing, NetworkView>;
  readonly stopNetwork: Route<NamedParams, Nothing, Nothing, NetworkView>;
  readonly listLeases: Route<NamedParams, Nothing, Nothing, readonly LeaseView[]>;
  readonly listGuests: Route<Nothing, NetworkQuery, Nothing, readonly GuestView[]>;
  readonly createGuest: Route<Nothing, Nothing, GuestInput, GuestView>;
  readonly getGuest: Route<NamedParams, Nothing, Nothing, GuestView>;
  readonly updateGuest: Route<NamedParams, Nothing, GuestPatch, GuestView>;
  readonly deleteGuest: Route<NamedParams, Nothing, Nothing, null>;
  readonly attachGuest: Route<NamedParams, Nothing, AttachInput, AttachResult>;
  readonly detachGuest: Route<NamedParams, Nothing, DetachInput, null>;
  readonly lookUp: Route<NamedParams, LookupQuery, Nothing, LookupView>;
  readonly listForwards: Route<Nothing, NetworkQuery, Nothing, readonly ForwardView[]>;
  readonly createForward: Route<Nothing, Nothing, ForwardInput, ForwardView>;
  readonly getForward: Route<IdParams, Nothing, Nothing, ForwardView>;
  readonly deleteForward: Route<IdParams, Nothing, Nothing, null>;
  readonly listRecords: Route<Nothing, NetworkQuery, Nothing, readonly RecordView[]>;
  readonly createRecord: Route<Nothing, Nothing, RecordInput, RecordView>;
  readonly getRecord: Route<IdParams, Nothing, Nothing, RecordView>;
  readonly deleteRecord: Route<IdParams, Nothing, Nothing, null>;
  readonly listShapes: Route<Nothing, NetworkQuery, Nothing, readonly ShapeView[]>;
  readonly setShape: Route<Nothing, Nothing, ShapeInput, ShapeView>;
  readonly getShape: Route<IdParams, Nothing, Nothing, ShapeView>;
  readonly deleteShape: Route<IdParams, Nothing, Nothing, null>;
  readonly events: Route<Nothing, EventsQuery, Nothing, EventView>;
  readonly capture: Route<Nothing, CaptureQuery, Nothing, CapturedLine>;
  readonly listFlows: Route<Nothing, FlowsQuery, Nothing, readonly FlowView[]>;
  readonly probeGuest: Route<NamedParams, Nothing, ProbeInput, ProbeResult>;
  readonly logs: Route<Nothing, LogsQuery, Nothing, LogEntry>;
  readonly endCapture: Route<IdParams, Nothing, Nothing, null>;
}

/** Routes that answer with a stream. */
export type StreamRouteName = 'events' | 'capture' | 'logs';

export type RouteName = keyof ApiRoutes;

const none = { params: nothingSchema, query: nothingSchema, body: nothingSchema };
const byName = { ...none, params: namedParamsSchema };
const byId = { ...none, params: idParamsSchema };
const byNetwork = { ...none, query: networkQuerySchema };
const noResult = { status: 204, result: z.null() } as const;

export const API_ROUTES: ApiRoutes = {
  ...NETWORK_CONFIG_ROUTES,
  health: {
    method: 'GET',
    path: '/healthz',
    summary: 'Whether all that should run does; 503 with what is broken otherwise',
    status: 200,
    ...none,
    result: healthViewSchema,
  },
  status: {
    method: 'GET',
    path: '/v1/status',
    summary: 'Everything at once',
    status: 200,
    ...none,
    result: statusViewSchema,
  },
  takeBackup: {
    method: 'GET',
    path: '/v1/backup',
    summary: 'All that the daemon remembers, in one document; on the unix socket alone',
    local: true,
    status: 200,
    ...none,
    result: backupSchema,
  },
  shutdown: {
    method: 'POST',
    path: '/v1/shutdown',
    summary: 'Stop the daemon and, unless told otherwise, the networks',
    ...none,
    body: shutdownInputSchema,
    ...noResult,
  },
  getToken: {
    method: 'GET',
    path: '/v1/token',
    summary: 'The token for requests over TCP; on the unix socket alone',
    local: true,
    status: 200,
    ...none,
    result: tokenViewSchema,
  },
  rotateToken: {
    method: 'POST',
    path: '/v1/token/rotate',
    summary: 'Make another token; the old one is void at once, on the unix socket alone',
    local: true,
    status: 200,
    ...none,
    result: tokenViewSchema,
  },
  listNetworks: {
    method: 'GET',
    path: '/v1/networks',
    summary: 'All configured networks',
    status: 200,
    ...none,
    result: z.array(networkViewSchema),
  },
  getNetwork: {
    method: 'GET',
    path: '/v1/networks/:name',
    summary: 'One network',
    resource: 'network',
    status: 200,
    ...byName,
    result: networkViewSchema,
  },
  startNetwork: {
    method: 'POST',
    path: '/v1/networks/:name/start',
    summary: 'Start a network; no change when it runs',
    resource: 'network',
    status: 200,
    ...byName,
    result: networkViewSchema,
  },
  stopNetwork: {
    method: 'POST',
    path: '/v1/networks/:name/stop',
    summary: 'Stop a network; its guests lose their link',
    resource: 'network',
    status: 200,
    ...byName,
    result: networkViewSchema,
  },
  listLeases: {
    method: 'GET',
    path: '/v1/networks/:name/leases',
    summary: 'The DHCP leases of a network',
    status: 200,
    ...byName,
    result: z.array(leaseViewSchema),
  },
  listGuests: {
    method: 'GET',
    path: '/v1/guests',
    summary: 'Registered and anonymous guests',
    status: 200,
    ...byNetwork,
    result: z.array(guestViewSchema),
  },
  createGuest: {
    method: 'POST',
    path: '/v1/guests',
    summary: 'Register a guest',
    resource: 'guest',
    status: 201,
    ...none,
    body: guestInputSchema,
    result: guestViewSchema,
  },
  getGuest: {
    method: 'GET',
    path: '/v1/guests/:name',
    summary: 'One guest',
    resource: 'guest',
    status: 200,
    ...byName,
    result: guestViewSchema,
  },
  updateGuest: {
    method: 'PATCH',
    path: '/v1/guests/:name',
    summary: 'Change a NIC: link up or down, MAC, reserved address',
    resource: 'guest',
    status: 200,
    ...byName,
    body: guestPatchSchema,
    result: guestViewSchema,
  },
  deleteGuest: {
    method: 'DELETE',
    path: '/v1/guests/:name',
    summary: 'Forget a guest; its links are cut',
    resource: 'guest',
    ...byName,
    ...noResult,
  },
  attachGuest: {
    method: 'POST',
    path: '/v1/guests/:name/attach',
    summary: 'Open a link for a guest; starts the network and registers the guest where needed',
    resource: 'guest',
    status: 200,
    ...byName,
    body: attachInputSchema,
    result: attachResultSchema,
  },
  detachGuest: {
    method: 'POST',
    path: '/v1/guests/:name/detach',
    summary: 'Close the links of a guest',
    resource: 'guest',
    ...byName,
    body: detachInputSchema,
    ...noResult,
  },
  lookUp: {
    method: 'GET',
    path: '/v1/networks/:name/lookup',
    summary: 'What the DNS of a running network answers its guests',
    status: 200,
    ...none,
    params: namedParamsSchema,
    query: lookupQuerySchema,
    result: lookupViewSchema,
  },
  listForwards: {
    method: 'GET',
    path: '/v1/forwards',
    summary: 'Port forwards',
    status: 200,
    ...byNetwork,
    result: z.array(forwardViewSchema),
  },
  createForward: {
    method: 'POST',
    path: '/v1/forwards',
    summary: 'Add a port forward',
    resource: 'forward',
    status: 201,
    ...none,
    body: forwardInputSchema,
    result: forwardViewSchema,
  },
  getForward: {
    method: 'GET',
    path: '/v1/forwards/:id',
    summary: 'One port forward',
    resource: 'forward',
    status: 200,
    ...byId,
    result: forwardViewSchema,
  },
  deleteForward: {
    method: 'DELETE',
    path: '/v1/forwards/:id',
    summary: 'Remove a port forward; its connections end',
    resource: 'forward',
    ...byId,
    ...noResult,
  },
  listRecords: {
    method: 'GET',
    path: '/v1/records',
    summary: 'DNS records',
    status: 200,
    ...byNetwork,
    result: z.array(recordViewSchema),
  },
  createRecord: {
    method: 'POST',
    path: '/v1/records',
    summary: 'Add a DNS record',
    resource: 'record',
    status: 201,
    ...none,
    body: recordInputSchema,
    result: recordViewSchema,
  },
  getRecord: {
    method: 'GET',
    path: '/v1/records/:id',
    summary: 'One DNS record',
    resource: 'record',
    status: 200,
    ...byId,
    result: recordViewSchema,
  },
  deleteRecord: {
    method: 'DELETE',
    path: '/v1/records/:id',
    summary: 'Remove a DNS record',
    resource: 'record',
    ...byId,
    ...noResult,
  },
  listShapes: {
    method: 'GET',
    path: '/v1/shapes',
    summary: 'What is shaped: delay, loss, rate, partition',
    status: 200,
    ...byNetwork,
    result: z.array(shapeViewSchema),
  },
  setShape: {
    method: 'PUT',
    path: '/v1/shapes',
    summary: 'Shape a guest, or a pair of guests; replaces the shape it had',
    resource: 'shape',
    status: 200,
    ...none,
    body: shapeInputSchema,
    result: shapeViewSchema,
  },
  getShape: {
    method: 'GET',
    path: '/v1/shapes/:id',
    summary: 'One shape',
    resource: 'shape',
    status: 200,
    ...byId,
    result: shapeViewSchema,
  },
  deleteShape: {
    method: 'DELETE',
    path: '/v1/shapes/:id',
    summary: 'End a shape; what waits leaves at once',
    resource: 'shape',
    ...byId,
    ...noResult,
  },
  events: {
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens, as server-sent events',
    status: 200,
    ...none,
    query: eventsQuerySchema,
    result: eventViewSchema,
  },
  capture: {
    method: 'GET',
    path: '/v1/captures',
    summary: 'Frames as they come by, as a pcapng stream or as lines; its id is in the header `vmlan-capture`',
    status: 200,
    ...none,
    query: captureQuerySchema,
    result: capturedLineSchema,
  },
  logs: {
    method: 'GET',
    path: '/v1/logs',
    summary: 'What the daemon and its networks wrote, the newest lines in order of time, and with `follow` what comes',
    status: 200,
    ...none,
    query: logsQuerySchema,
    result: logEntrySchema,
  },
  listFlows: {
    method: 'GET',
    path: '/v1/flows',
    summary: 'Conversations of guests with the world beyond their network',
    status: 200,
    ...none,
    query: flowsQuerySchema,
    result: z.array(flowViewSchema),
  },
  probeGuest: {
    method: 'POST',
    path: '/v1/guests/:name/probe',
    summary: 'Try whether a guest answers at a port',
    status: 200,
    ...byName,
    body: probeInputSchema,
    result: probeResultSchema,
  },
  endCapture: {
    method: 'DELETE',
    path: '/v1/captures/:id',
    summary: 'End a capture: what is under way and its statistics still come',
    ...byId,
    ...noResult,
  },
};

export * from './backup.ts';
export * from './network-config.ts';
export * from './captures.ts';
export * from './flows.ts';
export * from './logs.ts';
export * from './lookups.ts';
export * from './probe.ts';
export * from './requests.ts';
export type * from './route.ts';
export * from './shape.ts';
export * from './views.ts';
