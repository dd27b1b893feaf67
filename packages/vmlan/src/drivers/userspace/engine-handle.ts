/**
 * The running datapath as the network process sees it.
 *
 * Zone: control.  `engine/client.ts` is one; tests bring their own.
 */
import type { EngineCapabilities, EngineConfig, FromEngine, ToEngine } from '../../engine/control-messages.ts';

type WithoutId<M> = M extends { readonly id: number } ? Omit<M, 'id'> : never;

/** A message that is answered by `done`. */
export type EngineRequest = WithoutId<ToEngine>;

export interface EngineHandle {
  readonly capabilities: EngineCapabilities;
  /** Rejects with the VmlanError of the engine. */
  request(message: EngineRequest): Promise<unknown>;
  post(message: ToEngine): void;
  on(listener: (message: FromEngine) => void): void;
  stop(): Promise<void>;
}

export type StartEngine = (config: EngineConfig) => Promise<EngineHandle>;
