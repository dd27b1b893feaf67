/**
 * The program of a network process: the control thread of drivers/userspace over the real datapath.
 *
 * Zone: control.
 */
import { runNetworkProcess } from '../drivers/userspace/network-process.ts';
import { startEngine } from '../engine/client.ts';

await runNetworkProcess(startEngine);
