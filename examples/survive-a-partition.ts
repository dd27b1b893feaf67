/**
 * Two services that must survive a partition.
 *
 * `orders` takes orders from a customer and has `stock` confirm each of them, exactly once.  While the two are cut from each
 * other, orders are still taken; when they meet again, what was taken is confirmed, and nothing twice.  The network between
 * them loses, delays and reorders all the while.
 *
 *     node survive-a-partition.ts
 */
import assert from 'node:assert/strict';
import { Network } from 'vmlan';
import type { Guest } from 'vmlan';

/** Confirms an order by its number; a number that comes again is the same order. */
function runStock(guest: Guest): Map<string, number> {
  const confirmed = new Map<string, number>();
  guest.serve(80, async (request) => {
    const order = await request.text();
    confirmed.set(order, (confirmed.get(order) ?? 0) + 1);
    return new Response('confirmed');
  });
  return confirmed;
}

/** Takes an order at once, and tells `stock` of it until `stock` has answered. */
function runOrders(guest: Guest): { readonly waiting: Set<string>; readonly done: Map<string, number> } {
  const waiting = new Set<string>();
  const done = new Map<string, number>();
  const deliver = async (order: string): Promise<void> => {
    for (let tries = 1; waiting.has(order); tries++) {
      try {
        const signal = AbortSignal.timeout(500);
        const answer = await guest.fetch('http://stock/orders', { method: 'PUT', body: order, signal });
        if (answer.ok && (await answer.text()) === 'confirmed') waiting.delete(order);
        done.set(order, tries);
      } catch {
        // It is cut off, or slow: the next try tells.
      }
    }
  };
  guest.serve(80, async (request) => {
    const order = await request.text();
    waiting.add(order);
    void deliver(order);
    return new Response('taken', { status: 202 });
  });
  return { waiting, done };
}

await using net = await Network.create({ name: 'shop' });
const [customer, orders, stock] = await Promise.all(['customer', 'orders', 'stock'].map((name) => net.addGuest(name)));
const confirmed = runStock(stock!);
const { waiting, done } = runOrders(orders!);
await net.shape('stock', { peer: 'orders', delayMs: 5, jitterMs: 5, lossPercent: 2, reorderPercent: 5, seed: 1 });

const order = async (name: string): Promise<void> => {
  const answer = await customer!.fetch('http://orders/', { method: 'POST', body: name });
  assert.equal(answer.status, 202, `${name} was not taken`);
};
const settled = async (): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => waiting.size === 0 && resolve(), 20);
  await promise;
  clearInterval(timer);
};

await order('before');
await settled();
console.log(`before the partition: confirmed after ${done.get('before')} try`);

await net.partition('orders', 'stock');
for (const name of ['a', 'b', 'c']) await order(name);
await assert.rejects(orders!.fetch('http://stock/', { signal: AbortSignal.timeout(700) }));
assert.deepEqual([...waiting], ['a', 'b', 'c'], 'all of them wait, and none was refused');
console.log(`during the partition: ${waiting.size} orders were taken and wait`);

await net.heal();
await settled();
assert.deepEqual([...confirmed.keys()].sort(), ['a', 'b', 'before', 'c'], 'each was confirmed');
console.log(`after the partition: confirmed after ${[...done.values()].slice(1).join(', ')} tries`);
