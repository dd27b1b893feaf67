/**
 * A DNS failover.
 *
 * Clients find the database by a name of its own.  The primary dies without a word; the name is moved to the standby, and
 * whoever resolves it anew for each connection goes on.  One that keeps the address that it once had does not: this is how a
 * test finds that out.
 *
 *     node dns-failover.ts
 */
import assert from 'node:assert/strict';
import { Network } from 'vmlan';
import type { Guest } from 'vmlan';

const NAME = 'db.example';
const PORT = 5432;
const PATIENCE = { timeoutMs: 800 };

/** A database that says who it is. */
const runDatabase = (guest: Guest): unknown => guest.tcp.listen(PORT, (socket) => socket.write(`I am ${guest.name}`));

/** Resolves the name each time, and tries again until somebody answers. */
async function ask(client: Guest): Promise<string> {
  for (;;) {
    try {
      const socket = await client.tcp.connect(NAME, PORT, PATIENCE);
      return await socket.text();
    } catch {
      // The record may be moved by now.
    }
  }
}

await using net = await Network.create();
const [client, primary, standby] = await Promise.all(
  ['client', 'primary', 'standby'].map((name) => net.addGuest(name)),
);
runDatabase(primary!);
runDatabase(standby!);
await net.records.add({ name: NAME, value: primary!.address!, ttl: 1 });

assert.equal(await ask(client!), 'I am primary');
const [remembered] = await client!.dns.resolve(NAME);
console.log(`${NAME} is ${remembered}: primary`);

await primary!.disconnect();
const answer = ask(client!);
await assert.rejects(client!.tcp.connect(remembered!, PORT, PATIENCE), { code: /ETIMEDOUT|EHOSTUNREACH/ });
console.log('the primary is gone: connecting fails, slowly, as it does in life');

await net.records.replace(NAME, standby!.address!);
assert.equal(await answer, 'I am standby');
console.log(`${NAME} is ${(await client!.dns.resolve(NAME)).join()}: standby, and the client goes on`);

await assert.rejects(client!.tcp.connect(remembered!, PORT, PATIENCE));
console.log('whoever remembered the old address is still cut off');
