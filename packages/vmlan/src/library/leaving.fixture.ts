/**
 * A program with a network, for leaving.test.ts: prints the directory of its sockets, then leaves as it is told.
 *
 *   node leaving.fixture.ts dispose|exit|throw|wait
 *
 * Zone: control.
 */
import { dirname } from 'node:path';
import { Network } from './network.ts';

const [how] = process.argv.slice(2);
const net = await Network.create();
await net.addGuest('web');
const { socket } = await net.attachQemu('machine');
process.stdout.write(`${dirname(socket)}\n`);
if (how === 'exit') process.exit(3);
if (how === 'throw') throw new Error('a test has failed');
if (how === 'dispose') await net.close();
