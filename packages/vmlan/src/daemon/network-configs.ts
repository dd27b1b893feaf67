/**
 * Networks as resources: creating, changing and deleting them, by changing networks.yaml and making it live.
 *
 * Zone: control.  One change at a time, whoever asks for it.  The file as it would be is judged as a whole, beside all
 * that was registered and made live, before anything happens; then it is written, then running networks follow.  What
 * a running network refuses is taken back, in the file too.
 */
import { rm } from 'node:fs/promises';
import { stringify } from 'yaml';
import { VmlanError } from '../core/errors.ts';
import { Serial } from '../core/serial.ts';
import { networkPaths } from '../drivers/network-paths.ts';
import { describeStep, isSame } from '../drivers/plan.ts';
import type {
  NetworkChange,
  NetworkConfigView,
  NetworkCreate,
  NetworkPatch,
  NetworkReplacement,
  ReloadView,
  ReservationBody,
  ReservationView,
} from '../model/api.ts';
import { IMPLICIT_NETWORKS } from '../model/defaults.ts';
import { closedDestinations } from '../model/resolve.ts';
import type { NetworkInput, ReservationInput } from '../model/schema.ts';
import type { Config } from './config.ts';
import { startProblem } from './config-check.ts';
import { checkAgainstLive } from './config-checks.ts';
import {
  EMPTY_FILE,
  mergePatch,
  removeNetwork,
  setBuiltInNetwork,
  setNetwork,
  setNetworkBlock,
} from './config-edit.ts';
import type { Context } from './context.ts';
import { nicsOf } from './desired.ts';
import type { Forwards, Records } from './forwards.ts';
import type { Guests } from './guests.ts';
import type { Networks } from './networks.ts';
import type { Shapes } from './shapes.ts';
import { unifiedDiff } from './text-diff.ts';
import { yamlBlockAt } from './yaml-edit.ts';

const QUEUE = 'networks.yaml';

export interface ChangeOptions {
  /** Answers what would happen, and changes nothing. */
  readonly dryRun?: boolean;
  /** Starts a running network again where the change needs it. */
  readonly restart?: boolean;
  /** Deletes also while guests are registered. */
  readonly force?: boolean;
}

export interface NetworkConfigsParts {
  readonly networks: Networks;
  readonly guests: Guests;
  readonly forwards: Forwards;
  readonly records: Records;
  readonly shapes: Shapes;
}

/** One change of the file, judged and not yet made. */
interface Prepared extends Omit<ReloadView, 'file'> {
  /** What the file says until then, which may be more than holds. */
  readonly text: string | null;
  readonly after: Config;
}

/** The file as it is to be, from what it says now; `base` is what that means. */
type Edit = (text: string | null, base: Config) => string | null;

interface Configured {
  /** As it stands in the file; undefined: vmlan brings the network. */
  readonly raw: unknown;
  /** What a file has to say about it at least. */
  readonly written: unknown;
  /** What it means. */
  readonly input: NetworkInput;
}

export class NetworkConfigs {
  readonly #context: Context;
  readonly #parts: NetworkConfigsParts;
  readonly #serial = new Serial();

  constructor(context: Context, parts: NetworkConfigsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  create({ name, config }: NetworkCreate, options: ChangeOptions): Promise<NetworkChange> {
    return this.#change(name, options, (text, base) => {
      if (base.networks.has(name)) {
        throw new VmlanError('conflict', `network "${name}" exists already`, { hint: `vmlan network edit ${name}` });
      }
      return setNetwork(text, name, undefined, { ...config });
    });
  }

  patch(name: string, patch: NetworkPatch, options: ChangeOptions): Promise<NetworkChange> {
    return this.#change(name, options, (text, base) => {
      const { raw, written } = this.#configured(base, name);
      return setNetwork(text, name, raw, mergePatch(written, patch) as NetworkPatch);
    });
  }

  replace(name: string, { config, yaml }: NetworkReplacement, options: ChangeOptions): Promise<NetworkChange> {
    return this.#change(name, options, (text, base) => {
      const { raw } = this.#configured(base, name);
      return yaml === undefined ? setNetwork(text, name, raw, { ...config! }) : setNetworkBlock(text, name, yaml);
    });
  }

  async remove(name: string, options: ChangeOptions): Promise<NetworkChange> {
    const change = await this.#change(name, options, (text, base) => {
      const { raw } = this.#configured(base, name);
      if (options.force !== true) this.#checkDeserted(name);
      if (raw !== undefined) return removeNetwork(text!, name);
      // Any file takes the place of the others that vmlan brings without one.
      if (!IMPLICIT_NETWORKS.includes(name)) return text ?? EMPTY_FILE;
      throw new VmlanError('conflict', `network "${name}" comes with vmlan and cannot be deleted`, {
        hint: `it uses nothing while it is stopped: vmlan network stop ${name}`,
      });
    });
    if (options.dryRun !== true) await this.#clear(name);
    return change;
  }

  #checkDeserted(name: string): void {
    const guests = [...new Set(nicsOf(this.#parts.guests.all, name).map(({ guest }) => guest))].sort();
    if (guests.length === 0) return;
    const shown = guests.slice(0, 8).join(', ') + (guests.length > 8 ? ` and ${guests.length - 8} more` : '');
    throw new VmlanError('conflict', `network "${name}" has guests: ${shown}`, {
      hint: `vmlan network delete ${name} --force takes them off it`,
    });
  }

  addReservation(name: string, { guest, mac, ip }: ReservationBody, options: ChangeOptions): Promise<NetworkChange> {
    const added = { ...(guest === undefined ? {} : { guest }), ...(mac === undefined ? {} : { mac }), ip };
    return this.#changeReservations(name, options, (all) => {
      const rival = all.find((entry) => entry.ip === ip);
      if (rival !== undefined) {
        throw new VmlanError(
          'conflict',
          `network "${name}": ${ip} is reserved for ${rival.guest ?? rival.mac!} already`,
          {
            hint: `vmlan network reservation remove ${name} ${ip}`,
          },
        );
      }
      return [...all, added];
    });
  }

  removeReservation(name: string, ip: string, options: ChangeOptions): Promise<NetworkChange> {
    return this.#changeReservations(name, options, (all) => {
      const left = all.filter((entry) => entry.ip !== ip);
      if (left.length < all.length) return left;
      throw new VmlanError('not-found', `network "${name}": no reservation of ${ip} stands in networks.yaml`, {
        hint: `vmlan network reservation list ${name}`,
      });
    });
  }

  #changeReservations(
    name: string,
    options: ChangeOptions,
    change: (all: readonly ReservationInput[]) => readonly ReservationInput[],
  ): Promise<NetworkChange> {
    return this.#change(name, options, (text, base) => {
      const { raw, written, input } = this.#configured(base, name);
      const reservations = change(input.dhcp?.reservations ?? []);
      return setNetwork(text, name, raw, mergePatch(written, { dhcp: { reservations } }) as NetworkPatch);
    });
  }

  reservations(name: string): readonly ReservationView[] {
    const network = this.#parts.networks.get(name);
    const ofGuests = nicsOf(this.#parts.guests.all, name).filter(({ nic }) => nic.ip !== null);
    return [
      ...network.reservations.map(({ ip, guest = null, mac = null }): ReservationView => ({
        network: name,
        ip,
        guest,
        mac,
        origin: 'config',
      })),
      ...ofGuests.map(({ guest, nic }): ReservationView => ({
        network: name,
        ip: nic.ip!,
        guest,
        mac: nic.mac,
        origin: 'guest',
      })),
    ];
  }

  view(name: string): NetworkConfigView {
    this.#parts.networks.get(name);
    const { configuration, config } = this.#context;
    const { raw, input } = this.#configured(config, name);
    const block = config.text === null ? null : yamlBlockAt(config.text, ['networks', name]);
    return {
      name,
      origin: raw === undefined ? 'default' : 'file',
      place: config.document?.placeOf(['networks', name]) ?? (raw === undefined ? null : configuration.file),
      config: input,
      yaml: block ?? stringify(raw ?? input, { lineWidth: 0 }),
    };
  }

  /** All that is configured about a network, comments too, as the file has it now: what an editor starts from. */
  version(name: string): unknown {
    const network = this.#parts.networks.get(name);
    return [network, this.#isEdited() ? this.#context.configuration.read() : this.view(name).yaml];
  }

  /** Somebody edited the file since it was loaded; one that cannot be read is found out by the next change. */
  #isEdited(): boolean {
    try {
      return this.#context.configuration.read() !== this.#context.config.text;
    } catch {
      return false;
    }
  }

  /** Loads the file again, which somebody has edited. A broken one changes nothing. */
  reload(): Promise<ReloadView> {
    return this.#serial.run(QUEUE, async () => {
      const { configuration, events } = this.#context;
      const text = configuration.read();
      const prepared = await this.#prepare(text, await configuration.judge(text), {}, null);
      await this.#make(prepared, {});
      const { added, removed, changed, steps, restartNeeded, warnings } = prepared;
      events.publish('config-reloaded', {}, `${configuration.file} was loaded again`);
      return { file: configuration.file, added, removed, changed, steps, restartNeeded, warnings };
    });
  }

  /** While networks.yaml is changed by nobody else. */
  exclusively<T>(task: () => Promise<T>): Promise<T> {
    return this.#serial.run(QUEUE, task);
  }

  #configured(base: Config, name: string): Configured {
    const input = base.inputs.get(name);
    if (input === undefined) this.#parts.networks.get(name); // not found, with a proposal
    const value = base.document?.value as { readonly networks?: Readonly<Record<string, unknown>> | null } | undefined;
    const raw = value?.networks?.[name];
    return { raw, written: raw ?? { mode: input!.mode }, input: input! };
  }

  #change(name: string, options: ChangeOptions, edit: Edit): Promise<NetworkChange> {
    return this.#serial.run(QUEUE, async () => {
      const { configuration } = this.#context;
      const text = configuration.read();
      const base = text === configuration.current.text ? configuration.current : await configuration.judge(text);
      const after = await this.#judge(text, edit, base, name);
      const prepared = await this.#prepare(text, after, options, name);
      if (options.dryRun !== true) await this.#make(prepared, options);
      return {
        name,
        dryRun: options.dryRun ?? false,
        file: configuration.file,
        diff: unifiedDiff(configuration.file, text, after.text ?? ''),
        steps: prepared.steps,
        restartNeeded: prepared.restartNeeded,
        warnings: prepared.warnings,
      };
    });
  }

  /** A file takes the place of networks that vmlan brings: those that are there stay, and are written down first. */
  async #judge(text: string | null, edit: Edit, base: Config, subject: string): Promise<Config> {
    const { configuration } = this.#context;
    const first = await configuration.judge(edit(text, base));
    const lost = [...base.networks.keys()].filter(
      (name) => name !== subject && !first.networks.has(name) && !base.unusable.has(name),
    );
    if (lost.length === 0) return first;
    return configuration.judge(edit(lost.reduce<string | null>(setBuiltInNetwork, text), base));
  }

  /** `subject` null: the file was edited by hand, and is the truth as it is. */
  async #prepare(
    text: string | null,
    after: Config,
    options: ChangeOptions,
    subject: string | null,
  ): Promise<Prepared> {
    const before = this.#context.config;
    const names = [...new Set([...before.networks.keys(), ...after.networks.keys()])];
    const added = names.filter((name) => !before.networks.has(name));
    const removed = names.filter((name) => !after.networks.has(name));
    const changed = names.filter((name) => isChanged(name, before, after));
    const { store } = this.#context;
    const live = { guests: [...store.guests.values()], forwards: store.forwards };
    const warnings: string[] = [];
    for (const name of [...added, ...changed]) {
      try {
        checkAgainstLive(after.networks.get(name)!, live);
      } catch (error) {
        if (subject !== null) throw error;
        warnings.push((error as Error).message);
      }
    }
    for (const name of [...added, ...changed]) {
      const problem = startProblem(after.networks.get(name)!, after);
      if (problem !== null) warnings.push(`it is kept, and cannot be started here: ${problem}`);
    }
    if (subject !== null && text !== before.text) {
      warnings.push(`${this.#context.configuration.file} was edited by hand: what it says holds now, too`);
    }
    const restored = [...added, ...changed].filter((name) => isRestored(name, before, after));
    warnings.push(...restored.map((name) => `network "${name}" is there again: it comes with vmlan`));
    const previews = await Promise.all(
      changed.map(async (name) => ({
        name,
        ...(await this.#parts.networks.preview(after.networks.get(name)!, after, options.restart ?? false)),
      })),
    );
    const stopped = removed.filter((name) => this.#parts.networks.shallRun(name));
    return {
      ...{ text, after, added, removed, changed, warnings },
      steps: [
        ...stopped.map((name) => `${name}: stop network`),
        ...previews.flatMap(({ name, steps }) => steps.map((step) => `${name}: ${describeStep(step)}`)),
      ],
      restartNeeded: previews.filter(({ isOutdated }) => isOutdated).map(({ name }) => name),
    };
  }

  async #make({ text, after, added, removed, changed }: Prepared, options: ChangeOptions): Promise<void> {
    const { configuration, events } = this.#context;
    const before = configuration.current;
    const { networks } = this.#parts;
    const touched: string[] = [];
    await configuration.commit(after, text);
    try {
      for (const name of changed) {
        touched.push(name);
        await networks.reconfigure(name, options.restart ?? false);
      }
    } catch (error) {
      await configuration.takeBack(before, text);
      for (const name of touched) await networks.recover(name).catch(() => undefined);
      throw error;
    }
    for (const name of removed) await networks.drop(name);
    for (const name of added) events.publish('network-created', { network: name }, `network "${name}" was created`);
    for (const name of changed) events.publish('network-changed', { network: name }, `network "${name}" was changed`);
  }

  /** Leaves nothing of a network that is no more. */
  async #clear(name: string): Promise<void> {
    const { networks, guests, forwards, records, shapes } = this.#parts;
    const { paths, store, events } = this.#context;
    await networks.drop(name);
    await guests.dropNetwork(name);
    await forwards.dropNetwork(name);
    await records.dropNetwork(name);
    await shapes.dropNetwork(name);
    await store.removePick(name);
    await rm(networkPaths(paths.runtime, paths.state, name).state, { recursive: true, force: true });
    events.publish('network-deleted', { network: name }, `network "${name}" was deleted`);
  }
}

const isWritten = (config: Config, name: string): boolean => config.document?.has(['networks', name]) ?? false;

/** The file had a network of this name, or one that stood in its way. */
const isRestored = (name: string, before: Config, after: Config): boolean =>
  !isWritten(after, name) && (isWritten(before, name) || !before.networks.has(name));

function isChanged(name: string, before: Config, after: Config): boolean {
  const [old, now] = [before.networks.get(name), after.networks.get(name)];
  if (old === undefined || now === undefined) return false;
  const closed = (config: Config): readonly string[] => closedDestinations(now, [...config.networks.values()]);
  return !isSame(old, now) || !isSame(closed(before), closed(after));
}
