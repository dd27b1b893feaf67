/**
 * A guest that lies: about its addresses, about who serves and who routes, about where it sends. Each lie is counted, and
 * reaches nobody; in mode nat, which has no guards, all but the gateway's own address may be lied about.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as dhcp from '../../src/wire/dhcpv4.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import { hex, view } from '../../src/wire/frames.fixture.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ndpOptions from '../../src/wire/ndp-options.ts';
import {
  arpFrame,
  BROADCAST_MAC,
  etherFrame,
  icmp6Of,
  icmpOf,
  ipv4Frame,
  ipv6Frame,
  neighborOf,
  udpOf,
} from '../../src/wire/packets.fixture.ts';
import { missing } from '../support/needs.ts';
import type { Namespace } from '../support/netns.ts';
import { serve } from '../support/peers.ts';
import { Station } from '../support/station.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab: { mode: user-v2, subnet: 192.168.77.0/24, subnet6: fd77:1:2:3::/64 }
  free: { mode: nat, subnet: 192.168.78.0/24, subnet6: fd78:1:2:3::/64 }
`;
const ALL_NODES = { to: '33:33:00:00:00:01', dst: 'ff02::1' };
const LIAR = '52:54:00:66:00:01';
const WITNESS = '52:54:00:66:00:02';
const ALICE = '52:54:00:66:00:03';
const ND_HOPS = 255;

/** A network with somebody who lies, somebody who listens, and somebody who is lied about. */
interface Stage {
  readonly network: string;
  readonly liar: Station;
  readonly witness: Station;
  readonly alice: Namespace;
  readonly liar4: string;
  readonly liar6: string;
  readonly witness4: string;
  readonly alice4: string;
  readonly alice6: string;
  readonly gateway4: string;
  readonly gateway6: string;
  readonly gatewayMac: string;
  readonly foreignPrefix: string;
}

function routerAdvert(prefix: string): Uint8Array {
  const bytes = new Uint8Array(8 + 32);
  view(bytes).setUint16(0, 0x4000); // hop limit 64
  const [w0 = 0, w1 = 0] = parseIpv6(prefix)!;
  const flags = ndpOptions.PREFIX_ON_LINK | ndpOptions.PREFIX_AUTONOMOUS;
  ndpOptions.putPrefix(view(bytes), 8, 64, flags, 86_400, 14_400, w0, w1, 0, 0);
  return bytes;
}

interface Lie {
  readonly name: string;
  readonly counter: string;
  readonly frame: (stage: Stage) => Uint8Array;
  /** Also refused where there are no guards. */
  readonly always?: true;
}

const LIES: readonly Lie[] = [
  {
    name: 'the IPv4 address of another guest',
    counter: 'drop_spoofed_ipv4_source',
    frame: ({ alice4, witness4 }) =>
      ipv4Frame({ from: LIAR, to: WITNESS, src: alice4, dst: witness4 }, icmpOf(8, 0, 1)),
  },
  {
    name: 'an IPv4 address of elsewhere',
    counter: 'drop_spoofed_ipv4_source',
    frame: ({ witness4 }) => ipv4Frame({ from: LIAR, to: WITNESS, src: '203.0.113.7', dst: witness4 }, icmpOf(8, 0, 2)),
  },
  {
    name: "the gateway's IPv4 address",
    counter: 'drop_spoofed_ipv4_source',
    frame: ({ gateway4, witness4 }) =>
      ipv4Frame({ from: LIAR, to: WITNESS, src: gateway4, dst: witness4 }, udpOf(53, 53)),
  },
  {
    name: 'the IPv6 address of another guest',
    counter: 'drop_spoofed_ipv6_source',
    frame: ({ alice6 }) => ipv6Frame({ from: LIAR, ...ALL_NODES, src: alice6 }, udpOf(9, 9)),
  },
  {
    name: 'ARP for another guest',
    counter: 'drop_spoofed_arp_sender',
    frame: ({ alice4, witness4 }) => arpFrame({ from: LIAR, op: 2, sender: alice4, target: witness4 }),
  },
  {
    name: 'ARP for the gateway',
    counter: 'drop_spoofed_arp_sender',
    frame: ({ gateway4, witness4 }) => arpFrame({ from: LIAR, op: 2, sender: gateway4, target: witness4 }),
  },
  {
    name: 'a neighbor advertisement for another guest',
    counter: 'drop_spoofed_nd_target',
    frame: ({ liar6, alice6 }) =>
      ipv6Frame({ from: LIAR, ...ALL_NODES, src: liar6, hopLimit: ND_HOPS }, neighborOf('advert', alice6, LIAR, 0x20)),
  },
  {
    name: 'a router advertisement',
    counter: 'drop_rogue_router_advertisement',
    frame: ({ foreignPrefix }) =>
      ipv6Frame(
        { from: LIAR, ...ALL_NODES, src: 'fe80::5054:ff:fe66:1', hopLimit: ND_HOPS },
        icmp6Of(134, 0, 0x4000_0708, routerAdvert(foreignPrefix)),
      ),
  },
  {
    name: 'the answer of a DHCP server',
    counter: 'drop_rogue_dhcp_server',
    frame: ({ liar4 }) =>
      ipv4Frame({ from: LIAR, to: BROADCAST_MAC, src: liar4, dst: '255.255.255.255' }, udpOf(67, 68)),
  },
  {
    name: 'the answer of a DHCPv6 server',
    counter: 'drop_rogue_dhcp_server',
    frame: () => ipv6Frame({ from: LIAR, ...ALL_NODES, src: 'fe80::5054:ff:fe66:1' }, udpOf(547, 546)),
  },
  {
    name: "the gateway's MAC address",
    counter: 'drop_spoofed_gateway_mac',
    frame: ({ gatewayMac }) => etherFrame(gatewayMac, WITNESS, 0x88b5, hex('cafe')),
    always: true,
  },
  {
    name: 'a group as the sender',
    counter: 'drop_bad_source_mac',
    frame: () => etherFrame('01:00:5e:00:00:01', WITNESS, 0x88b5, hex('cafe')),
    always: true,
  },
];

describe('guards', { skip: missing('dnsmasq', 'ip', 'ping') }, () => {
  let world: World;
  const stack = new AsyncDisposableStack();
  const stages: Stage[] = [];

  before(async () => {
    world = stack.use(await World.create({ config: CONFIG }));
    for (const network of ['lab', 'free']) stages.push(await setStage(network));
    // What must not be reached is there: the host's loopback.
    stack.use(await serve(world.lab.host, [{ kind: 'udp-echo', host: '127.0.0.1', port: 8001 }]));
  });
  after(() => stack.disposeAsync());

  const connect = async (network: string, name: string, mac: string): Promise<[Station, string]> => {
    const { socket } = await world.api.call('attachGuest', {
      params: { name: `${network}-${name}` },
      body: { network, mac },
    });
    assert.ok(socket !== null && 'unix' in socket);
    const station = stack.use(await Station.connect(socket.unix, mac));
    return [station, (await station.obtainLease()).address];
  };

  const setStage = async (network: string): Promise<Stage> => {
    const alice = await world.lab.guest(`${network}-alice`);
    const netns = { path: alice.path, interface: 'eth0', configure: true };
    const body = { network, mac: ALICE, kind: 'netns', netns } as const;
    await world.api.call('attachGuest', { params: { name: `${network}-alice` }, body });
    const [alice4, alice6] = [await alice.waitForAddress('eth0', 4), await alice.waitForAddress('eth0', 6)];
    const { gateway, gateway6 } = await world.network(network);
    // Alice is heard of before anybody can speak for her.
    await alice.output(['ping', '-c', '1', '-W', '2', gateway!]);
    await alice.output(['ping', '-c', '1', '-W', '2', gateway6!]);
    const [liar, liar4] = await connect(network, 'liar', LIAR);
    const [witness, witness4] = await connect(network, 'witness', WITNESS);
    liar.send(arpFrame({ from: LIAR, sender: liar4, target: gateway! }));
    const gatewayMac = await liar.receive('the MAC address of the gateway', (frame) => macOfReply(frame, gateway!));
    const liar6 = `${gateway6!.slice(0, gateway6!.lastIndexOf('::'))}::66`;
    return {
      ...{ network, liar, witness, alice, liar4, liar6, witness4, alice4, alice6, gatewayMac },
      ...{ gateway4: gateway!, gateway6: gateway6!, foreignPrefix: 'fd66:6:6:6::' },
    };
  };

  /** Whether the witness has the frame by the time that it has another one, sent later. */
  const isHeard = async ({ liar, witness, liar4, witness4 }: Stage, frame: Uint8Array): Promise<boolean> => {
    liar.send(frame);
    const mark = ipv4Frame({ from: LIAR, to: WITNESS, src: liar4, dst: witness4 }, udpOf(9, 9, hex('feedbeef')));
    const before: Uint8Array[] = [];
    liar.send(mark);
    await witness.receive('the mark', (got) => (Buffer.compare(got, mark) === 0 ? true : (before.push(got), null)));
    return before.some((got) => Buffer.compare(got.subarray(6), frame.subarray(6)) === 0);
  };

  for (const { name, counter, frame, always = false } of LIES) {
    test(`a lie about ${name} is counted and heard by nobody`, async () => {
      const [stage] = stages as [Stage];
      const before = await world.counter(stage.network, counter);
      assert.equal(await isHeard(stage, frame(stage)), false);
      assert.equal(await world.counter(stage.network, counter), before + 1);
    });

    test(`a lie about ${name} ${always ? 'is refused in mode nat, too' : 'is carried in mode nat'}`, async () => {
      const [, stage] = stages as [Stage, Stage];
      assert.equal(await isHeard(stage, frame(stage)), !always);
    });
  }

  test('nobody was deceived', async () => {
    const [{ alice, alice4, witness4, gateway4, gatewayMac, liar }] = stages as [Stage];
    await alice.output(['ping', '-c', '1', '-W', '2', gateway4]);
    const neighbors = await alice.ip('neigh', 'show', 'dev', 'eth0');
    assert.match(neighbors, new RegExp(`${gateway4.replaceAll('.', '\\.')} .*${gatewayMac}`));
    assert.doesNotMatch(neighbors, new RegExp(LIAR));
    assert.doesNotMatch(await alice.ip('-6', 'addr', 'show', 'dev', 'eth0'), /fd66:/);
    assert.doesNotMatch(await alice.ip('-6', 'route', 'show', 'default'), /fe80::5054:ff:fe66:1/);
    assert.ok(liar.connected && alice4 !== witness4);
  });

  test('who takes the MAC address of another takes nothing else', async () => {
    const [{ network, liar, alice, gateway4, liar4, alice4 }] = stages as [Stage];
    liar.send(arpFrame({ from: ALICE, sender: liar4, target: gateway4 }));
    await alice.output(['ping', '-c', '2', '-i', '0.2', '-W', '2', gateway4]);
    const { nics } = await world.api.call('getGuest', { params: { name: `${network}-alice` } });
    assert.deepEqual([nics[0]?.state, nics[0]?.mac, nics[0]?.address4[0]], ['connected', ALICE, alice4]);
  });

  test("nobody ends another's lease", async () => {
    const [{ network, liar, alice4, gateway4 }] = stages as [Stage];
    const chaddr = new Uint8Array(16);
    chaddr.set(hex(ALICE.replaceAll(':', '')));
    for (const type of [dhcp.RELEASE, dhcp.DECLINE]) {
      const options = [
        dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, type),
        dhcp.u32Option(dhcp.OPT_SERVER_ID, parseIpv4(gateway4)!),
        dhcp.u32Option(dhcp.OPT_REQUESTED_IP, parseIpv4(alice4)!),
      ];
      const header = { op: 1, htype: 1, hlen: 6, hops: 0, xid: 1, secs: 0, flags: 0, yiaddr: 0, siaddr: 0, giaddr: 0 };
      const ends = { ...header, ciaddr: parseIpv4(alice4)!, chaddr, sname: '', file: '', options };
      const message = dhcp.emitDhcp4(ends, 576);
      const before = await world.counter(network, 'dhcp_ignored');
      liar.send(
        ipv4Frame({ from: LIAR, to: BROADCAST_MAC, src: '0.0.0.0', dst: '255.255.255.255' }, udpOf(68, 67, message)),
      );
      liar.send(
        ipv4Frame({ from: ALICE, to: BROADCAST_MAC, src: '0.0.0.0', dst: '255.255.255.255' }, udpOf(68, 67, message)),
      );
      await liar.obtainLease(); // behind the others
      assert.ok((await world.counter(network, 'dhcp_ignored')) > before);
    }
    const leases = await world.api.call('listLeases', { params: { name: network } });
    assert.equal(leases.find(({ address }) => address === alice4)?.state, 'active');
  });

  describe('destinations that are nowhere', () => {
    for (const dst of ['127.0.0.1', '0.0.0.0', '240.0.0.1', '192.168.77.99']) {
      test(`${dst} by way of the gateway reaches nothing`, async () => {
        const [stage] = stages as [Stage];
        const { network, liar, liar4, gatewayMac } = stage;
        const before = await world.counter(network, 'drop_martian_destination');
        liar.send(ipv4Frame({ from: LIAR, to: gatewayMac, src: liar4, dst }, udpOf(4000, 8001, hex('01'))));
        liar.send(ipv4Frame({ from: LIAR, to: gatewayMac, src: liar4, dst }, icmpOf(8, 0, 7)));
        await liar.obtainLease();
        assert.equal(await world.counter(network, 'drop_martian_destination'), before + 2);
        assert.equal((await world.snapshot(network)).flows.udp, 0);
      });
    }

    test('169.254.169.254 is said to be closed', async () => {
      const [{ liar, liar4, gatewayMac }] = stages as [Stage];
      liar.send(
        ipv4Frame({ from: LIAR, to: gatewayMac, src: liar4, dst: '169.254.169.254' }, udpOf(4000, 80, hex('01'))),
      );
      const code = await liar.receive('an ICMP error', (frame) => {
        const v = view(frame);
        const ip = ethernet.HEADER_LEN;
        if (ethernet.etherType(v, 0) !== ethernet.TYPE_IPV4 || ipv4.protocol(v, ip) !== ipv4.PROTO_ICMP) return null;
        return v.getUint8(ipv4.payload(v, ip)) === 3 ? v.getUint8(ipv4.payload(v, ip) + 1) : null;
      });
      assert.equal(code, 13); // communication administratively prohibited (RFC 1812 §5.2.7.1)
    });
  });

  test('a flood of made-up addresses costs nobody else a packet', async () => {
    const [{ network, liar, liar4, alice, gateway4 }] = stages as [Stage];
    const ping = alice.start(['ping', '-q', '-c', '40', '-i', '0.05', '-W', '2', gateway4]);
    for (let i = 0; i < 20_000; i++) {
      const from = `02:00:${[i >> 24, i >> 16, i >> 8, i].map((byte) => (byte & 0xff).toString(16).padStart(2, '0')).join(':')}`;
      liar.send(arpFrame({ from, sender: `192.168.77.${100 + (i % 100)}`, target: gateway4 }));
      if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const { stdout } = await ping.exited;
    assert.match(stdout, /40 packets transmitted, 40 received/);
    const { nics } = await world.api.call('getGuest', { params: { name: `${network}-alice` } });
    assert.equal(nics[0]?.state, 'connected');
    assert.match((await liar.obtainLease()).address, new RegExp(`^${liar4.replaceAll('.', '\\.')}$`));
  });
});

/** The sender's MAC address of an ARP reply for `ip`, or null. */
function macOfReply(frame: Uint8Array, ip: string): string | null {
  const v = view(frame);
  if (ethernet.etherType(v, 0) !== ethernet.TYPE_ARP || v.getUint16(20) !== 2 || v.getUint32(28) !== parseIpv4(ip))
    return null;
  return Buffer.from(frame.subarray(22, 28))
    .toString('hex')
    .replaceAll(/(..)(?!$)/g, '$1:');
}
