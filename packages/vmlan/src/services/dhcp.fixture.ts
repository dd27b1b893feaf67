/**
 * A DHCP server with guests that speak to it by messages: what the tests of the server share.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { Counters } from '../core/counters.ts';
import { formatIpv4, parseIpv4 } from '../wire/address.ts';
import * as wire from '../wire/dhcpv4.ts';
import type { Dhcp4Message, Dhcp4Option } from '../wire/dhcpv4.ts';
import { DhcpServer } from './dhcp.ts';
import type { DhcpConfig, DhcpReply, DhcpSource } from './dhcp.ts';
import { LeaseStore } from './lease-store.ts';

export const START_MS: number = 1_700_000_000_000;
export const HOUR_MS: number = 3_600_000;
export const ip = (text: string): number => parseIpv4(text) ?? assert.fail(text);

export const CONFIG: DhcpConfig = {
  network: ip('10.0.0.0'),
  prefix: 28,
  gateway: ip('10.0.0.1'),
  serverId: ip('10.0.0.1'),
  dns: [ip('10.0.0.1')],
  domain: 'lab.internal',
  searchDomains: ['lab.internal', 'vmlan.internal'],
  mtu: 1500,
  leaseSeconds: 3600,
  poolStart: ip('10.0.0.2'),
  poolEnd: ip('10.0.0.14'),
  excluded: [],
  reservations: [],
};

export interface Sent {
  xid?: number;
  flags?: number;
  secs?: number;
  hlen?: number;
  htype?: number;
  op?: number;
  ciaddr?: string;
  giaddr?: string;
  chaddr?: Uint8Array;
  options?: Dhcp4Option[];
  from?: Partial<DhcpSource>;
}

export interface Got extends DhcpReply {
  message: Dhcp4Message;
  type: number;
  yiaddr: string;
}

/** A server and the guests that talk to it; time is set by the test. */
export class Network {
  nowMs: number = START_MS;
  store: LeaseStore = new LeaseStore();
  readonly counters: Counters = new Counters();
  readonly config: DhcpConfig;
  server: DhcpServer;

  constructor(more: Partial<DhcpConfig> = {}) {
    this.config = { ...CONFIG, ...more };
    this.server = new DhcpServer(this.config, this.store, this.counters);
  }

  /** The process ends and starts again with what was stored. */
  restart(): void {
    const stored = JSON.parse(JSON.stringify(this.store.snapshot())) as unknown[];
    this.store = new LeaseStore();
    this.server = new DhcpServer(this.config, this.store, this.counters);
    this.store.restore(stored, this.nowMs);
  }

  guest(number: number, nic = `g${number}/0`): Guest {
    return new Guest(this, number, nic);
  }
}

export class Guest {
  readonly #network: Network;
  readonly number: number;
  readonly nic: string;

  constructor(network: Network, number: number, nic: string) {
    this.#network = network;
    this.number = number;
    this.nic = nic;
  }

  get mac(): Uint8Array {
    return Uint8Array.of(0x52, 0x54, 0, 0, this.number >> 8, this.number);
  }

  sendsBytes(bytes: Uint8Array, from: Partial<DhcpSource> = {}): Got | null {
    const { server, nowMs } = this.#network;
    const frame = new Uint8Array(bytes.length + 50);
    frame.set(bytes, 42);
    const source = { nicKey: this.nic, guest: this.nic.split('/')[0] ?? null, srcIp: 0 };
    const mac = { srcMacHi: 0x5254, srcMacLo: this.number };
    const reply = server.onMessage(new DataView(frame.buffer), 42, bytes.length, { ...source, ...mac, ...from }, nowMs);
    if (reply === null) return null;
    const { payload } = reply;
    const message = wire.parseDhcp4(new DataView(payload.buffer, payload.byteOffset), 0, payload.length);
    assert.ok(message, 'a reply that cannot be read');
    return { ...reply, message, type: wire.optionU8(message, 53), yiaddr: formatIpv4(message.yiaddr) };
  }

  sends(type: number, sent: Sent = {}): Got | null {
    const chaddr = new Uint8Array(16);
    chaddr.set(sent.chaddr ?? this.mac);
    const message = {
      ...{ op: sent.op ?? wire.BOOT_REQUEST, htype: sent.htype ?? 1, hlen: sent.hlen ?? 6, hops: 0 },
      ...{ xid: sent.xid ?? 0x1000 + this.number, secs: sent.secs ?? 0, flags: sent.flags ?? 0 },
      ...{ ciaddr: ip(sent.ciaddr ?? '0.0.0.0'), yiaddr: 0, siaddr: 0, giaddr: ip(sent.giaddr ?? '0.0.0.0') },
      ...{ chaddr, sname: '', file: '' },
      options: [...(type === 0 ? [] : [wire.u8Option(53, type)]), ...(sent.options ?? [])],
    };
    return this.sendsBytes(wire.emitDhcp4(message, 1400), sent.from);
  }

  /** As `sends`, where an answer is due. */
  gets(type: number, sent: Sent = {}): Got {
    return this.sends(type, sent) ?? assert.fail('no answer');
  }

  /** DISCOVER, OFFER, REQUEST, ACK; the address. */
  boots(options: Dhcp4Option[] = []): string {
    const offer = this.gets(wire.DISCOVER, { options });
    assert.equal(offer.type, wire.OFFER);
    const ack = this.gets(wire.REQUEST, { options: [...options, requested(offer.yiaddr), server('10.0.0.1')] });
    assert.equal(ack.type, wire.ACK);
    assert.equal(ack.yiaddr, offer.yiaddr);
    return ack.yiaddr;
  }
}

export const requested = (address: string): Dhcp4Option => wire.u32Option(50, ip(address));
export const server = (address: string): Dhcp4Option => wire.u32Option(54, ip(address));
export const clientId = (...bytes: number[]): Dhcp4Option => [61, Uint8Array.from(bytes)];
export const wants = (...codes: number[]): Dhcp4Option => [55, Uint8Array.from(codes)];
export const codesOf = (got: Got): number[] => [...got.message.options.keys()];
export const hexOf = (got: Got, code: number): string =>
  Buffer.from(got.message.options.get(code) ?? []).toString('hex');
export const textOf = (got: Got, code: number): string => Buffer.from(got.message.options.get(code) ?? []).toString();
export const destination = (got: Got): unknown[] => [formatIpv4(got.dstIp), got.dstPort, got.dstMacHi, got.dstMacLo];
