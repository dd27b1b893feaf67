/**
 * What of the descriptors that this process may open is for API clients.
 *
 * Zone: control.
 */
import { MAX_CONNECTIONS } from '../api/connections.ts';

/** The rest is for state files, networks, their processes and what is started. */
const CLIENTS_SHARE = 0.5;

export const connectionsWithin = (openFiles: number): number =>
  Math.min(MAX_CONNECTIONS, Math.max(1, Math.floor(openFiles * CLIENTS_SHARE)));
