import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EngineSnapshot, GuestSnapshot } from '../engine/control-messages.ts';
import { resolveNetwork } from '../model/resolve.ts';
import { anonymousGuestViews, forwardView, leaseViews, registeredGuestView } from './views.ts';
import type { LiveNetwork } from './views.ts';
import { forwardsOf } from './desired.ts';

const context = { identify: () => new Uint8Array(16), pickSubnet: () => null };
const network = resolveNetwork(
  'lab',
  { mode: 'shared', subnet: '10.1.0.0/24', forwards: [{ host: '80-81', guest: 'web:80-81' }] },
  context,
);

const guest = (more: Partial<GuestSnapshot>): GuestSnapshot => ({
  guest: 'web',
  nic: 'web/0',
  mac: '52:54:00:00:00:01',
  aliasMac: null,
  link: 'stream',
  state: 'connected',
  address4: ['10.1.0.2'],
  address6: [],
  hostname: null,
  sinceMs: 5,
  framesFromGuest: 1,
  framesToGuest: 2,
  bytesFromGuest: 3,
  bytesToGuest: 4,
  dropsToGuest: 5,
  dropsFromGuest: 6,
  flows: 7,
  ...more,
});

const live = (more: Partial<EngineSnapshot> | null): LiveNetwork => ({
  network,
  observed: null,
  snapshot: more === null ? null : ({ guests: [], forwards: [], leases: [], ...more } as unknown as EngineSnapshot),
});

describe('guests', () => {
  const stored = {
    name: 'web',
    nics: [{ index: 0, network: 'lab', mac: '52:54:00:00:00:01', ip: null, connected: true, attachment: null }],
  };

  test('that are registered are shown while their network is stopped, waits, or has them', () => {
    const states = [null, {}, { guests: [guest({})] }].map(
      (one) => registeredGuestView(stored, [live(one)]).nics[0]?.state,
    );
    assert.deepEqual(states, ['stopped', 'waiting', 'connected']);
    const { nics } = registeredGuestView(stored, [live({ guests: [guest({})] })]);
    assert.partialDeepStrictEqual(nics[0], { sinceMs: 5, counters: { framesFromGuest: 1, dropsFromGuest: 6 } });
  });

  test('whose link is down are shown so', () => {
    const down = { ...stored, nics: [{ ...stored.nics[0]!, connected: false }] };
    assert.equal(registeredGuestView(down, [live({})]).nics[0]?.state, 'disconnected');
  });

  test('that nobody registered are shown too', () => {
    const stranger = guest({ guest: 'guest-525400000002', nic: 'mac:52:54:00:00:00:02' });
    const views = anonymousGuestViews(live({ guests: [guest({}), stranger] }), new Set(['web/0']));
    assert.deepEqual(
      views.map(({ name, registered }) => [name, registered]),
      [['guest-525400000002', false]],
    );
    assert.deepEqual(anonymousGuestViews(live(null), new Set()), []);
  });
});

describe('a forward of a range', () => {
  const [entry] = forwardsOf(network, []);
  const part = (i: number, state: 'listening' | 'waiting-for-guest'): EngineSnapshot['forwards'][number] =>
    ({ id: `${entry!.id}.${i}`, state, connections: 2 }) as EngineSnapshot['forwards'][number];

  test('is what its parts are, and the sum of them', () => {
    const view = forwardView(entry!, live({ forwards: [part(0, 'listening'), part(1, 'waiting-for-guest')] }), []);
    assert.partialDeepStrictEqual(view, { state: 'waiting-for-guest', connections: 4 });
    assert.equal(forwardView(entry!, live({ forwards: [part(0, 'listening')] }), []).state, 'listening');
    assert.equal(forwardView(entry!, live(null), []).state, 'stopped');
  });

  test('has failed when one part has', () => {
    const spec = {
      id: `${entry!.id}.1`,
      protocol: 'tcp',
      direction: 'host',
      listen: { unix: '/x' },
      target: { unix: '/y' },
    } as const;
    const failed = {
      step: { action: 'add-forward', forward: spec },
      error: { code: 'address-in-use', message: 'taken' },
    } as const;
    assert.partialDeepStrictEqual(forwardView(entry!, live({}), [failed]), {
      state: 'failed',
      problem: { detail: 'taken' },
    });
  });
});

test('leases are shown by what they mean now', () => {
  const lease = {
    family: 4,
    address: '10.1.0.2',
    nic: 'web/0',
    guest: 'web',
    mac: 'm',
    hostname: null,
    state: 'bound',
    expiresMs: 100,
  };
  const records = [
    lease,
    { ...lease, expiresMs: Number.MAX_SAFE_INTEGER },
    { ...lease, state: 'released' },
    { ...lease, state: 'declined' },
    { ...lease, state: 'offered' },
    { ...lease, family: 5 },
    'nonsense',
  ];
  const states = (nowMs: number): unknown[] =>
    leaseViews('lab', records, nowMs).map(({ state, expiresMs }) => [state, expiresMs]);
  assert.deepEqual(states(50), [
    ['active', 100],
    ['active', null],
    ['expired', 100],
    ['declined', 100],
  ]);
  assert.deepEqual(states(100)[0], ['expired', 100]);
});
