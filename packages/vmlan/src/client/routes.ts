/**
 * Method and path of every route, without the schemas: the client stays free of the validator and starts fast.
 *
 * Zone: control.  routes.test.ts keeps this table equal to model/api.ts, and the type keeps it complete.
 */
import type { RouteName } from '../model/api.ts';

export const ROUTE_LINES: Readonly<Record<RouteName, string>> = {
  health: 'GET /healthz',
  status: 'GET /v1/status',
  takeBackup: 'GET /v1/backup',
  shutdown: 'POST /v1/shutdown',
  getToken: 'GET /v1/token',
  rotateToken: 'POST /v1/token/rotate',
  listNetworks: 'GET /v1/networks',
  getNetwork: 'GET /v1/networks/:name',
  startNetwork: 'POST /v1/networks/:name/start',
  stopNetwork: 'POST /v1/networks/:name/stop',
  createNetwork: 'POST /v1/networks',
  updateNetwork: 'PATCH /v1/networks/:name',
  deleteNetwork: 'DELETE /v1/networks/:name',
  getNetworkConfig: 'GET /v1/networks/:name/config',
  replaceNetworkConfig: 'PUT /v1/networks/:name/config',
  listReservations: 'GET /v1/networks/:name/reservations',
  createReservation: 'POST /v1/networks/:name/reservations',
  deleteReservation: 'DELETE /v1/networks/:name/reservations/:ip',
  getConfig: 'GET /v1/config',
  reloadConfig: 'POST /v1/config/reload',
  listLeases: 'GET /v1/networks/:name/leases',
  listGuests: 'GET /v1/guests',
  createGuest: 'POST /v1/guests',
  getGuest: 'GET /v1/guests/:name',
  updateGuest: 'PATCH /v1/guests/:name',
  deleteGuest: 'DELETE /v1/guests/:name',
  attachGuest: 'POST /v1/guests/:name/attach',
  detachGuest: 'POST /v1/guests/:name/detach',
  lookUp: 'GET /v1/networks/:name/lookup',
  listForwards: 'GET /v1/forwards',
  createForward: 'POST /v1/forwards',
  getForward: 'GET /v1/forwards/:id',
  deleteForward: 'DELETE /v1/forwards/:id',
  listRecords: 'GET /v1/records',
  createRecord: 'POST /v1/records',
  getRecord: 'GET /v1/records/:id',
  deleteRecord: 'DELETE /v1/records/:id',
  listShapes: 'GET /v1/shapes',
  setShape: 'PUT /v1/shapes',
  getShape: 'GET /v1/shapes/:id',
  deleteShape: 'DELETE /v1/shapes/:id',
  events: 'GET /v1/events',
  capture: 'GET /v1/captures',
  logs: 'GET /v1/logs',
  listFlows: 'GET /v1/flows',
  probeGuest: 'POST /v1/guests/:name/probe',
  endCapture: 'DELETE /v1/captures/:id',
};

/** `GET /v1/guests/:name` with its parameters and query filled in. */
export function requestLine(
  name: RouteName,
  params: Readonly<Record<string, string>>,
  query: Readonly<Record<string, string | undefined>>,
): { readonly method: string; readonly path: string } {
  const [method = '', pattern = ''] = ROUTE_LINES[name].split(' ');
  const path = pattern.replaceAll(/:(\w+)/g, (_match, key: string) => encodeURIComponent(params[key] ?? ''));
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, value);
  return { method, path: search.size === 0 ? path : `${path}?${search.toString()}` };
}
