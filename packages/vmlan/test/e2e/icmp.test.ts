/**
 * Ping and traceroute from guests, through a real router to a host behind it.
 *
 *     guest ── gateway ── host ── internet (the router) ── far
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { INTERNET, type Lab, type Namespace } from '../support/netns.ts';
import { type BedGuest, EngineBed, GATEWAY, ready, root } from './engine-bed.ts';

const ROUTER = { address4: '198.51.100.1', address6: '2001:db8:51::1' } as const;
const FAR = { address4: '192.0.2.10', address6: '2001:db8:77::10' } as const;
const FAR_ROUTER = { address4: '192.0.2.1', address6: '2001:db8:77::1' } as const;
const HOPS_4 = [GATEWAY.address4, ROUTER.address4, FAR.address4];
const HOPS_6 = [GATEWAY.address6, ROUTER.address6, FAR.address6];

async function addFar({ internet }: Lab, far: Namespace): Promise<void> {
  await internet.ip('link', 'add', 'far0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', far.name);
  await far.sysctl('net.ipv4.icmp_ratelimit', 0);
  await far.sysctl('net.ipv6.icmp.ratelimit', 0);
  for (const [namespace, device, at] of [
    [internet, 'far0', FAR_ROUTER],
    [far, 'eth0', FAR],
  ] as const) {
    await namespace.ip('link', 'set', device, 'up');
    await namespace.ip('addr', 'add', `${at.address4}/24`, 'dev', device);
    await namespace.ip('addr', 'add', `${at.address6}/64`, 'dev', device, 'nodad');
  }
  await far.ip('route', 'add', 'default', 'via', FAR_ROUTER.address4);
  await far.ip('route', 'add', 'default', 'via', FAR_ROUTER.address6);
}

/** The addresses in a tool's output, hop by hop. */
function hops(text: string): string[] {
  const lines = text.split('\n').flatMap((line) => /^\s*(\d+)\??:?\s+(\S+)/.exec(line)?.slice(1, 3) ?? []);
  const found: string[] = [];
  for (let i = 0; i < lines.length; i += 2)
    if (lines[i + 1] !== '[LOCALHOST]') found[Number(lines[i]) - 1] = lines[i + 1]!;
  return found;
}

describe('ICMP', () => {
  let bed: EngineBed;
  const guests = new Map<string, BedGuest>();

  before(async () => {
    if (!root) return;
    bed = await EngineBed.create();
    await addFar(bed.lab, await bed.lab.guest('far'));
    await Promise.all((['tap', 'stream'] as const).map(async (kind) => guests.set(kind, await bed.guest(kind, kind))));
  });
  after(async () => {
    await bed?.[Symbol.asyncDispose]();
  });

  for (const address of [GATEWAY.address4, GATEWAY.address6, FAR.address4, FAR.address6]) {
    test(`ping ${address}, small and large`, async (t) => {
      if (!ready(t)) return;
      for (const { namespace } of guests.values())
        for (const size of [0, 56, 1472, 4000]) {
          const text = await namespace.output(['ping', '-c', '3', '-i', '0.05', '-W', '5', '-s', `${size}`, address]);
          assert.match(text, / 3 received, 0% packet loss/, `${size} bytes`);
        }
    });
  }

  test('ping of a host that a router calls unreachable says so', async (t) => {
    if (!ready(t)) return;
    const { namespace } = guests.get('tap')!;
    const { stdout } = await namespace.run(['ping', '-c', '1', '-W', '5', INTERNET.unreachable4]);
    assert.match(stdout, new RegExp(`From ${ROUTER.address4.replaceAll('.', '\\.')} .*Destination Host Unreachable`));
  });

  for (const { name, argv, want } of [
    { name: 'traceroute', argv: ['traceroute', '-n', '-q', '1', '-w', '2', FAR.address4], want: HOPS_4 },
    { name: 'traceroute -I', argv: ['traceroute', '-I', '-n', '-q', '1', '-w', '2', FAR.address4], want: HOPS_4 },
    { name: 'tracepath', argv: ['tracepath', '-n', '-m', '5', FAR.address4], want: HOPS_4 },
    { name: 'traceroute, IPv6', argv: ['traceroute', '-6', '-n', '-q', '1', '-w', '2', FAR.address6], want: HOPS_6 },
    {
      name: 'traceroute -I, IPv6',
      argv: ['traceroute', '-6', '-I', '-n', '-q', '1', '-w', '2', FAR.address6],
      want: HOPS_6,
    },
    { name: 'tracepath, IPv6', argv: ['tracepath', '-6', '-n', '-m', '5', FAR.address6], want: HOPS_6 },
  ]) {
    test(`${name} shows the hops`, async (t) => {
      if (!ready(t, argv[0]!)) return;
      for (const { namespace } of guests.values()) {
        const text = await namespace.output(argv, { timeoutMs: 60_000 });
        assert.deepEqual(hops(text), want, text);
      }
    });
  }
});

test('where the host forbids ping sockets, the reason is said once', async (t) => {
  if (!ready(t)) return;
  await using bed = await EngineBed.create({
    prepare: (lab) => lab.host.sysctl('net.ipv4.ping_group_range', '1 0'),
  });
  const { ping } = await bed.capabilities();
  assert.match(String(ping), /net\.ipv4\.ping_group_range.*sysctl -w net\.ipv4\.ping_group_range=/);
  const { namespace } = await bed.tapGuest('web');
  const { code, stdout } = await namespace.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', INTERNET.server4]);
  assert.equal(code, 1);
  assert.match(stdout, /Packet filtered/);
  const { stdout: stdout6 } = await namespace.run(['ping', '-c', '2', '-i', '0.2', '-W', '1', INTERNET.server6]);
  assert.match(stdout6, /Destination unreachable: Administratively prohibited/);
  const warnings = bed.messages.filter(({ type }) => type === 'log');
  assert.deepEqual(warnings, [{ type: 'log', level: 'warn', message: ping }]);
});
