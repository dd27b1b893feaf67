/**
 * The driver interface: what moves the frames of a network behind one small, declarative contract.
 *
 * Zone: control.  `observe` says what exists, `plan` is pure and printable, `apply` makes it so: idempotent, and all or
 * undone.  A port is attached by wanting its link, and detached by no longer wanting it, so that what was lost comes
 * back by planning again.  Every driver passes test/conformance/driver-suite.ts; no driver imports another.
 */
import type { Readable } from 'node:stream';
import type { ErrorData } from '../core/errors.ts';
import type {
  AllocatedAddress,
  DnsRecord,
  EngineEvent,
  EngineSnapshot,
  FlowSnapshot,
  SnapshotScope,
  ForwardSpec,
  LinkSpec,
  NicConfig,
  ProbeOutcome,
  Reservation,
  ShapeSpec,
} from '../engine/control-messages.ts';
import type { FlowOrder, FlowProtocol } from '../model/flows.ts';
import type { Lookup } from '../model/lookups.ts';
import type { Network } from '../model/network.ts';

export interface Capabilities {
  readonly type: string;
  readonly modes: readonly Network['mode'][];
  /** Needs root on this host. */
  readonly privileged: boolean;
}

/** A network namespace by process or by path, and how its interface is to look. */
export interface NetnsTarget {
  readonly pid: number | null;
  readonly path: string | null;
  readonly interface: string;
  /** Also set address, route and resolver's address, as `pasta --config-net` does. */
  readonly configure: boolean;
}

export type WantedLinkSpec =
  | Exclude<LinkSpec, { readonly fd: number }>
  /** A TAP made inside a namespace. */
  | {
      readonly kind: 'netns';
      readonly nic: string;
      readonly mac: string;
      readonly mtu: number;
      readonly target: NetnsTarget;
    }
  /** A TAP of the host itself, with the host's own addresses of the network, each with its prefix length. */
  | {
      readonly kind: 'host-side';
      readonly interface: string;
      readonly mac: string;
      readonly mtu: number;
      readonly addresses: readonly string[];
    };

export interface WantedLink {
  readonly id: string;
  readonly link: WantedLinkSpec;
}

/** Everything about one network that a driver makes true. */
export interface WantedNetwork {
  readonly network: Network;
  /** Destinations closed to its guests. */
  readonly closed: readonly string[];
  /** Those of the configuration and of registered guests. */
  readonly reservations: readonly Reservation[];
  readonly nics: readonly NicConfig[];
  readonly links: readonly WantedLink[];
  readonly records: readonly DnsRecord[];
  readonly forwards: readonly ForwardSpec[];
  readonly shapes: readonly ShapeSpec[];
}

/** What a running network holds. `settings` identifies all that cannot be changed while it runs. */
export interface AppliedState extends Omit<WantedNetwork, 'network'> {
  readonly settings: string;
}

export interface Observed {
  readonly network: string;
  readonly pid: number | null;
  readonly startedMs: number | null;
  /** null: it does not run, or cannot be asked. */
  readonly applied: AppliedState | null;
  /** Why it cannot be asked though it runs: `timeout` or `incompatible`. It can be stopped, and nothing else. */
  readonly trouble: ErrorData | null;
  /** Operational trouble that it reports about itself. */
  readonly warnings: readonly string[];
  /** What went wrong, is mended, and is to be known while it runs: leases that were damaged. */
  readonly notices: readonly string[];
}

/** One thing that `apply` will do. `describeStep` puts it into words. */
export type Step =
  | { readonly action: 'start'; readonly wanted: WantedNetwork }
  | { readonly action: 'stop' }
  | { readonly action: 'set-nic'; readonly nic: NicConfig; readonly before: NicConfig | null }
  | { readonly action: 'remove-nic'; readonly nic: NicConfig }
  | { readonly action: 'add-link'; readonly link: WantedLink }
  | { readonly action: 'remove-link'; readonly link: WantedLink }
  | {
      readonly action: 'set-reservations';
      readonly reservations: readonly Reservation[];
      readonly before: readonly Reservation[];
    }
  | { readonly action: 'set-closed'; readonly closed: readonly string[]; readonly before: readonly string[] }
  | { readonly action: 'set-records'; readonly records: readonly DnsRecord[]; readonly before: readonly DnsRecord[] }
  | { readonly action: 'add-forward'; readonly forward: ForwardSpec }
  | { readonly action: 'remove-forward'; readonly forward: ForwardSpec }
  | { readonly action: 'set-shape'; readonly shape: ShapeSpec; readonly before: ShapeSpec | null }
  | { readonly action: 'remove-shape'; readonly shape: ShapeSpec };

export interface Plan {
  readonly network: string;
  readonly steps: readonly Step[];
}

export interface FailedStep {
  readonly step: Step;
  readonly error: ErrorData;
}

export interface ApplyOptions {
  readonly signal?: AbortSignal;
  /**
   * `undo` (default): the first failure undoes the plan and is thrown.  `keep`: after a crash; links and forwards that
   * fail are left out and returned, the rest runs.
   */
  readonly onFailure?: 'undo' | 'keep';
}

/** Which conversations of a network are wanted. */
export interface FlowRequest {
  /** Those of this guest alone. */
  readonly guest: string | null;
  readonly protocol: FlowProtocol | null;
  readonly sort: FlowOrder;
  readonly limit: number;
}

/** Which frames of a network are wanted, and how they are written down. */
export interface CaptureRequest {
  /** Those of this guest's cards alone; null: of all. */
  readonly guest: string | null;
  /** wire/frame-filter.ts; empty: all. */
  readonly filter: string;
  /** Bytes kept of each frame. */
  readonly snapLen: number;
  /** Only those that vmlan drops. */
  readonly dropsOnly: boolean;
  /** `lines`: a JSON document a line. */
  readonly format: 'pcapng' | 'lines';
  /** Ends after so many frames, or so much time. */
  readonly count: number | null;
  readonly durationMs: number | null;
}

export interface CaptureStream {
  /** Destroying it ends the capture at once. */
  readonly stream: Readable;
  /** Ends the capture: what is under way and the statistics still come. */
  end(): void;
}

export type DriverEvent =
  | EngineEvent
  /** It ended without being asked to. */
  | { readonly kind: 'exited'; readonly reason: string }
  | { readonly kind: 'warnings'; readonly warnings: readonly string[] }
  /** It does not answer any more, or does so again. */
  | { readonly kind: 'answering'; readonly answers: boolean }
  /** To be told once. */
  | { readonly kind: 'notice'; readonly message: string };

export interface Driver {
  readonly capabilities: Capabilities;
  /** Names of networks that run, or ran when their process was lost. */
  list(): Promise<readonly string[]>;
  /** What runs under this name now; a network that an earlier daemon started is taken over. */
  observe(network: string, signal?: AbortSignal): Promise<Observed>;
  plan(network: string, wanted: WantedNetwork | null, observed: Observed): Plan;
  apply(plan: Plan, options?: ApplyOptions): Promise<readonly FailedStep[]>;
  /** The addresses of a NIC, leased for it if need be. */
  allocate(network: string, nicKey: string, mac: string): Promise<AllocatedAddress>;
  /** With `only`, at least these lists are filled. */
  snapshot(network: string, only?: SnapshotScope): Promise<EngineSnapshot>;
  /** Conversations of a running network, the first ones in the order that is asked for. */
  flows(network: string, request: FlowRequest): Promise<readonly FlowSnapshot[]>;
  /** Tries a port of a guest of a running network, by its name. */
  probe(network: string, guest: string, protocol: 'tcp' | 'udp', port: number): Promise<ProbeOutcome>;
  /** Asks the DNS of a running network as a guest would; an IP address stands for its name in the reverse zone. */
  lookUp(network: string, name: string, type: string): Promise<Lookup>;
  /** Frames of a running network as they come by. Throws VmlanError `invalid` for a filter that is none. */
  capture(network: string, request: CaptureRequest): Promise<CaptureStream>;
  /** The leases of a network as its services store them, also while it does not run. */
  leases(network: string): Promise<readonly unknown[]>;
  /** Calls back for each event of each network until disposed. */
  onEvent(listener: (network: string, event: DriverEvent) => void): Disposable;
  /** Lets go of everything without stopping the networks. */
  close(): Promise<void>;
}
