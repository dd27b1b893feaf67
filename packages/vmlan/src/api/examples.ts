/**
 * One request of every route, in an order in which they succeed: the examples of docs/api.md and of the OpenAPI
 * document, which tests send to a real daemon.
 *
 * Zone: control.  The daemon of the examples has a network `lab` (10.77.0.0/24) in its configuration.
 */
import type { RouteName } from '../model/api.ts';

export interface ApiExample {
  readonly route: RouteName;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const LAB = { name: 'lab' };
const TEST = { name: 'test' };
const WEB = { name: 'web' };
/** Ids follow from what they stand for. */
const FORWARD = { id: 'fwd-6738ad7495' };
const SHAPE = { id: 'shp-0920f6a179' };
const RECORD = { id: 'rec-bc578229b6' };

export const API_EXAMPLES: readonly ApiExample[] = [
  { route: 'health' },
  { route: 'listNetworks' },
  { route: 'startNetwork', params: LAB },
  { route: 'getNetwork', params: LAB },
  { route: 'getNetworkConfig', params: LAB },
  { route: 'updateNetwork', params: LAB, query: { dryRun: 'true' }, body: { mtu: 9000 } },
  { route: 'createReservation', params: LAB, body: { guest: 'mail', ip: '10.77.0.30' } },
  { route: 'listReservations', params: LAB },
  { route: 'deleteReservation', params: { ...LAB, ip: '10.77.0.30' } },
  { route: 'createNetwork', body: { name: 'test', config: { mode: 'shared', subnet: '10.78.0.0/24' } } },
  { route: 'replaceNetworkConfig', params: TEST, body: { config: { mode: 'isolated' } } },
  { route: 'deleteNetwork', params: TEST },
  { route: 'getConfig' },
  { route: 'reloadConfig' },
  { route: 'createGuest', body: { name: 'web', network: 'lab', ip: '10.77.0.20' } },
  { route: 'attachGuest', params: WEB, body: { kind: 'qemu-stream' } },
  { route: 'getGuest', params: WEB },
  { route: 'probeGuest', params: WEB, body: { port: 22 } },
  { route: 'updateGuest', params: WEB, body: { connected: false } },
  { route: 'listGuests', query: { network: 'lab' } },
  { route: 'listLeases', params: LAB },
  { route: 'lookUp', params: LAB, query: { name: 'host.vmlan.internal' } },
  { route: 'createForward', body: { host: '127.0.0.1:9090', guest: 'web:80', network: 'lab' } },
  { route: 'listForwards' },
  { route: 'getForward', params: FORWARD },
  { route: 'deleteForward', params: FORWARD },
  {
    route: 'createRecord',
    body: { name: 'www.lab.internal', type: 'CNAME', value: 'web.lab.internal', network: 'lab' },
  },
  { route: 'listRecords', query: { network: 'lab' } },
  { route: 'getRecord', params: RECORD },
  { route: 'deleteRecord', params: RECORD },
  { route: 'setShape', body: { guest: 'web', delayMs: 50, jitterMs: 10, lossPercent: 1 } },
  { route: 'listShapes', query: { network: 'lab' } },
  { route: 'getShape', params: SHAPE },
  { route: 'deleteShape', params: SHAPE },
  { route: 'events', query: { after: '0', follow: 'false' } },
  { route: 'logs', query: { network: 'lab', lines: '20', level: 'warn' } },
  { route: 'listFlows', query: { network: 'lab', sort: 'bytes', limit: '10' } },
  { route: 'capture', query: { network: 'lab', format: 'lines', filter: 'tcp and port 80', durationMs: '100' } },
  { route: 'endCapture', params: { id: '1' } },
  { route: 'status' },
  { route: 'takeBackup' },
  { route: 'getToken' },
  { route: 'rotateToken' },
  { route: 'detachGuest', params: WEB, body: {} },
  { route: 'deleteGuest', params: WEB },
  { route: 'stopNetwork', params: LAB },
  { route: 'shutdown', body: { networks: true } },
];
