/**
 * The running datapath as the network process sees it.
 *
 * Zone: control.  `engine/client.ts` is one; tests bring their own.
 */
import type { EngineCapabilities, EngineConfig, FromEngine, ToEngine } from '../../engine/control-messages.ts';

type WithoutId<M> = M extends { readonly id: number } ? Omit<M, 'id'> : never;

/** A message that is answered by `done`. */
export type EngineRequest = WithoutId<ToEngine>;

/** A message that is not answered. */
export type EngineNotice = Exclude<ToEngine, { readonly id: number }>;

export interface EngineHandle {
  readonly capabilities: EngineCapabilities;
  /** Rejects with the VmlanError of the engine. */
  request(message: EngineRequest): Promise<unknown>;
  post(message: EngineNotice): void;
  on(listener: (message: FromEngine) => void): void;
  stop(): Promise<void>;
  /** Resolves when the datapath has ended: null after `stop`, else why. */
  readonly ended: Promise<Error | null>;
}

export type StartEngine = (config: EngineConfig) => Promise<EngineHandle>;
