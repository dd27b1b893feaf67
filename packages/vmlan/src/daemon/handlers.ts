/**
 * The API's handlers: one line of wiring per route.
 *
 * Zone: control.
 */
import type { ApiHandlers, CaptureSource, VersionSource } from '../api/handlers.ts';
import { Captures } from './captures.ts';
import type { ReloadView, TokenView } from '../model/api.ts';
import { backupOfDaemon } from './backup.ts';
import { configView } from './config-view.ts';
import type { Context } from './context.ts';
import { listFlows } from './flows.ts';
import { Forwards, Records } from './forwards.ts';
import { Guests } from './guests.ts';
import { Health } from './health.ts';
import { NetworkConfigs } from './network-configs.ts';
import type { ChangeOptions } from './network-configs.ts';
import type { Networks } from './networks.ts';
import { Presenter } from './presenter.ts';
import { lookUp } from './lookups.ts';
import { probeGuest } from './probes.ts';
import { Shapes } from './shapes.ts';
import { Subjects } from './subjects.ts';
import { leaseViews } from './views.ts';

export interface HandlerOptions {
  readonly context: Context;
  readonly networks: Networks;
  /** Ends all connections over TCP. */
  readonly cutTcp: () => void;
  /** Ends the daemon once the answer is on its way. */
  readonly shutdown: (stopNetworks: boolean) => void;
}

export interface Handlers {
  readonly handlers: ApiHandlers;
  readonly versions: VersionSource;
  readonly captures: CaptureSource;
  /** Loads networks.yaml again. */
  readonly reload: () => Promise<ReloadView>;
}

export function makeHandlers({ context, networks, shutdown, cutTcp }: HandlerOptions): Handlers {
  const guests = new Guests(context, networks);
  const forwards = new Forwards(context, networks);
  const records = new Records(context, networks);
  const shapes = new Shapes(context, networks, guests);
  const health = new Health(context, networks);
  const show = new Presenter(context, networks, { guests, forwards, records, health });
  const configs = new NetworkConfigs(context, { networks, guests, forwards, records, shapes });
  const tokenView = (token: string): TokenView => ({
    token,
    file: context.token.file,
    address: context.listening.address,
  });
  const { driver } = context;
  const subjects = new Subjects(networks, (name) => show.guest(name));
  const captures = new Captures({ driver, subjects });
  const handlers: ApiHandlers = {
    createNetwork: ({ body, query }) => configs.create(body, options(query)),
    updateNetwork: ({ params, body, query }) => configs.patch(params.name, body, options(query)),
    deleteNetwork: ({ params, query }) => configs.remove(params.name, options(query)),
    getNetworkConfig: ({ params }) => configs.view(params.name),
    replaceNetworkConfig: ({ params, body, query }) => configs.replace(params.name, body, options(query)),
    listReservations: ({ params }) => configs.reservations(params.name),
    createReservation: ({ params, body, query }) => configs.addReservation(params.name, body, options(query)),
    deleteReservation: ({ params, query }) => configs.removeReservation(params.name, params.ip, options(query)),
    getConfig: () => configView(context),
    reloadConfig: () => configs.reload(),
    health: async () => {
      const problems = await health.problems();
      return { status: problems.length === 0 ? 'ok' : 'broken', version: context.version, pid: process.pid, problems };
    },
    status: () => show.status(),
    takeBackup: () => configs.exclusively(() => backupOfDaemon(context)),
    shutdown: ({ body }) => {
      shutdown(body.networks ?? true);
      return null;
    },
    getToken: async () => tokenView(await context.token.text()),
    rotateToken: async () => {
      const token = await context.token.rotate();
      cutTcp();
      return tokenView(token);
    },
    listNetworks: () => Promise.all(networks.all.map((network) => show.network(network))),
    getNetwork: ({ params }) => show.network(networks.get(params.name)),
    startNetwork: async ({ params }) => {
      await networks.start(params.name);
      return show.network(networks.get(params.name));
    },
    stopNetwork: async ({ params }) => {
      await networks.stop(params.name);
      return show.network(networks.get(params.name));
    },
    listLeases: async ({ params }) => {
      const { name } = networks.get(params.name);
      return leaseViews(name, await context.driver.leases(name), Date.now()).map((lease) => ({
        ...lease,
        guest: (lease.nic && guests.nameOfNic(lease.nic)) ?? lease.guest,
      }));
    },
    listGuests: ({ query }) => show.guests(query.network),
    createGuest: async ({ body }) => show.guest((await guests.create(body)).name),
    getGuest: ({ params }) => show.guest(params.name),
    updateGuest: async ({ params, body: { name, ...patch } }) => {
      if (name !== undefined) await guests.rename(params.name, name);
      return show.guest((await guests.update(name ?? params.name, patch)).name);
    },
    deleteGuest: async ({ params }) => {
      await guests.remove(params.name);
      await shapes.forgetGuest(params.name);
      return null;
    },
    attachGuest: async ({ params, body }) => show.attached(await guests.attach(params.name, body)),
    detachGuest: async ({ params, body }) => {
      await guests.detach(params.name, body.network);
      return null;
    },
    lookUp: ({ params, query }) => lookUp(driver, networks, params.name, query),
    listForwards: ({ query }) => show.forwards(query.network),
    createForward: async ({ body }) => show.forward((await forwards.add(body)).id),
    getForward: ({ params }) => show.forward(params.id),
    deleteForward: async ({ params }) => {
      await forwards.remove(params.id);
      return null;
    },
    listRecords: ({ query }) => show.records(query.network),
    createRecord: async ({ body }) => ({ ...(await records.add(body)), origin: 'api' }),
    getRecord: ({ params }) => show.record(params.id),
    deleteRecord: async ({ params }) => {
      await records.remove(params.id);
      return null;
    },
    listShapes: ({ query }) => shapes.list(query.network),
    setShape: ({ body, checkVersion }) => shapes.set(body, checkVersion),
    getShape: ({ params }) => shapes.get(params.id),
    deleteShape: async ({ params }) => {
      await shapes.remove(params.id);
      return null;
    },
    listFlows: ({ query }) => listFlows({ driver, networks, subjects }, query),
    probeGuest: ({ params, body }) => probeGuest({ driver, networks, subjects }, params.name, body),
    endCapture: ({ params }) => {
      captures.end(params.id);
      return null;
    },
  };
  const versions: VersionSource = {
    network: (name) => configs.version(name),
    guest: async (name) => guests.find(name) ?? (await show.guest(name)).name,
    forward: (id) => ({ ...forwards.get(id), network: forwards.get(id).network.name }),
    record: (id) => show.record(id),
    shape: (id) => shapes.get(id),
  };
  return { handlers, versions, captures, reload: () => configs.reload() };
}

/** `?dryRun=true&restart=true` of a request. */
const options = (query: { readonly [Key in keyof ChangeOptions]?: 'true' | 'false' | undefined }): ChangeOptions => ({
  dryRun: query.dryRun === 'true',
  restart: query.restart === 'true',
  force: query.force === 'true',
});
