/**
 * An engine thread on the real kernel, as the network process has it: started, asked, stopped.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONFIG } from './config.fixture.ts';
import { startEngine } from './client.ts';
import type { EngineSnapshot, FromEngine } from './control-messages.ts';

describe('an engine thread', () => {
  test('answers each request once, says what it has to say, and ends when it is told to', async () => {
    const engine = await startEngine(CONFIG);
    const heard: FromEngine[] = [];
    engine.on((message) => void heard.push(message));
    assert.equal(engine.capabilities.ipv6, true);
    const [snapshot, , failure] = await Promise.allSettled([
      engine.request({ type: 'snapshot' }),
      engine.request({ type: 'set-nic', nic: { key: 'web/0', guest: 'web', mac: null, connected: true } }),
      engine.request({ type: 'remove-link', linkId: 'absent' }),
    ]);
    assert.deepEqual(snapshot?.status === 'fulfilled' && (snapshot.value as EngineSnapshot).guests, []);
    assert.equal(failure?.status === 'rejected' && (failure.reason as { code: string }).code, 'not-found');
    const address = engine.request({ type: 'allocate', nic: 'web/0', mac: '52:54:00:00:00:01' });
    const stored = await new Promise<FromEngine & { type: 'leases' }>((resolve) => {
      engine.on((message) => {
        if (message.type === 'leases') resolve(message);
      });
    });
    engine.post({ type: 'leases-durable', generation: stored.generation });
    assert.equal(((await address) as { address4: string }).address4, '192.168.104.100');
    assert.ok(heard.every(({ type }) => type !== 'done'));
    await engine.stop();
    assert.equal(await engine.ended, null);
  });

  test('that has ended answers nothing any more, and says so', async () => {
    const engine = await startEngine(CONFIG);
    await engine.stop();
    await assert.rejects(engine.request({ type: 'snapshot' }), { name: 'VmlanError', code: 'unavailable' });
    engine.post({ type: 'dns-changed' });
    await engine.stop();
  });

  test('whose network cannot be built does not start', async () => {
    await assert.rejects(startEngine({ ...CONFIG, gatewayMac: 'no MAC' }), { name: 'VmlanError', code: 'internal' });
  });
});
