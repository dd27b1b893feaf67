/**
 * What the daemon and a network process say to each other: the methods of their JSON-RPC.
 *
 * Zone: control.  A daemon takes over processes of its own protocol version alone; any other it leaves running, and says
 * so.
 */
import type { ErrorData } from '../../core/errors.ts';
import type {
  AllocatedAddress,
  EngineConfig,
  EngineSnapshot,
  FlowSnapshot,
  ProbeOutcome,
  SnapshotScope,
} from '../../engine/control-messages.ts';
import type { Lookup } from '../../model/lookups.ts';
import type { UserIds } from '../../sys/privileges.ts';
import type { AppliedState, CaptureRequest, FlowRequest, Step, WantedLink } from '../driver.ts';
import type { NetworkPaths } from '../network-paths.ts';

/** Changes with anything that a peer of another number would misread. */
export const PROTOCOL_VERSION = 2;
/** Counts methods, steps and fields that came since: who does not know them says so, or leaves them out. */
export const PROTOCOL_MINOR = 2;

/** Given to a new network process on its standard input. */
export interface StartRequest {
  readonly protocol: number;
  readonly paths: NetworkPaths;
  /** Without leases and DUID, which the process keeps itself. */
  readonly config: Omit<EngineConfig, 'leases' | 'duid'>;
  /** Whom to become; null for a process that is an ordinary user already. */
  readonly user: UserIds | null;
  /** Identifies the settings that the process was started with. */
  readonly settings: string;
}

/** The first request of every connection. */
export interface HelloResult {
  readonly protocol: number;
  readonly minor: number;
  readonly network: string;
  readonly pid: number;
  readonly startedMs: number;
}

export interface ObserveResult {
  readonly startedMs: number;
  /** Counts the changes of `applied`; a process of minor version 0 has none. */
  readonly revision?: number;
  /** Left out when the asker knows it: it has not changed since the revision that he named. */
  readonly applied?: AppliedState;
  /** What is wrong now. */
  readonly warnings: readonly string[];
  /** What was wrong, and is to be known; a process of minor version 1 counts it among the warnings. */
  readonly notices?: readonly string[];
}

/** The revision after the step; a process of minor version 0 answers null. */
export type StepResult = { readonly revision: number } | null;

/** Changes of a running network; starting and stopping it are no steps of the process. */
export type LiveStep = Exclude<Step, { readonly action: 'start' | 'stop' }>;

export interface Methods {
  readonly hello: {
    readonly params: { readonly protocol: number; readonly minor: number };
    readonly result: HelloResult;
  };
  readonly observe: { readonly params: { readonly known?: number }; readonly result: ObserveResult };
  readonly step: { readonly params: { readonly step: LiveStep }; readonly result: StepResult };
  /** Steps of one action; each has its error, or null. */
  readonly steps: {
    readonly params: { readonly steps: readonly LiveStep[] };
    readonly result: { readonly revision: number; readonly errors: readonly (ErrorData | null)[] };
  };
  /** Waits for a descriptor at `socket` and makes it the link. */
  readonly 'receive-tap': {
    readonly params: { readonly link: WantedLink; readonly socket: string };
    readonly result: null;
  };
  readonly 'cancel-tap': { readonly params: { readonly socket: string }; readonly result: null };
  readonly allocate: {
    readonly params: { readonly nic: string; readonly mac: string };
    readonly result: AllocatedAddress;
  };
  readonly snapshot: { readonly params: { readonly only?: SnapshotScope }; readonly result: EngineSnapshot };
  readonly flows: { readonly params: FlowRequest; readonly result: readonly FlowSnapshot[] };
  readonly probe: {
    readonly params: { readonly guest: string; readonly protocol: 'tcp' | 'udp'; readonly port: number };
    readonly result: ProbeOutcome;
  };
  /** Answered by way of the datapath: both threads are there. */
  readonly pulse: { readonly params: object; readonly result: null };
  readonly 'look-up': { readonly params: { readonly name: string; readonly type: string }; readonly result: Lookup };
  /** After the answer the connection carries the capture, until it ends; END_CAPTURE asks for that. */
  readonly capture: { readonly params: CaptureRequest; readonly result: null };
  readonly stop: { readonly params: object; readonly result: null };
}

/** Notifications of the process: `event` with an EngineEvent, `warnings` with a list of texts. */
export const EVENT = 'event';
export const WARNINGS = 'warnings';
/** Notification of the daemon on a connection that carries a capture. */
export const END_CAPTURE = 'end-capture';

/** The one line that a new process writes to descriptor 3. */
export type StartAnswer = { readonly pid: number } | { readonly error: ErrorData };
