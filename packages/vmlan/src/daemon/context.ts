/**
 * Everything that the parts of the daemon share, built once.
 *
 * Zone: control.
 */
import type { Logger } from '../core/logger.ts';
import type { Driver } from '../drivers/driver.ts';
import type { ConfigEntry } from '../model/api.ts';
import type { HostRoute } from '../model/subnet.ts';
import type { Paths } from '../model/paths.ts';
import type { AccessToken } from './access-token.ts';
import type { Config } from './config.ts';
import type { Configuration } from './configuration.ts';
import type { EventHub } from './events.ts';
import type { Store } from './store.ts';

export interface Context {
  readonly version: string;
  readonly startedMs: number;
  readonly paths: Paths;
  /** Where the paths and settings of the daemon itself come from. */
  readonly settings: readonly ConfigEntry[];
  /** networks.yaml, which may change while the daemon runs. */
  readonly configuration: Configuration;
  /** What holds at this moment: `configuration.current`. */
  readonly config: Config;
  readonly store: Store;
  readonly driver: Driver;
  readonly events: EventHub;
  readonly logger: Logger;
  /** The daemon is root. */
  readonly privileged: boolean;
  /** What `identify` is made from. */
  readonly identity: string;
  readonly identify: (text: string) => Uint8Array;
  /** Where the API is served over TCP, once it is. */
  readonly listening: { address: string | null };
  readonly token: AccessToken;
  readonly hostRoutes: () => readonly HostRoute[];
}
