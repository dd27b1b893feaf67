/**
 * The DHCP client of a guest (RFC 2131 §4.4): gets an address, keeps it, and gets another when it may not.
 *
 * Zone: control.
 */
import { prefixOfMask4 } from '../wire/address.ts';
import * as dhcp from '../wire/dhcpv4.ts';
import { PROTO_UDP } from '../wire/ipv4.ts';
import * as udp from '../wire/udp.ts';
import { Alarm } from './clock.ts';
import { GuestError } from './errors.ts';
import type { IpLayer } from './ip-layer.ts';
import { ANY4, BROADCAST, ip4 } from './ip.ts';
import type { Ip } from './ip.ts';
import type { Udp, UdpSocket } from './udp.ts';

/** Between questions without an answer: doubled each time, up to the second. */
export const FIRST_RETRY_MS = 500;
export const MAX_RETRY_MS = 8000;
/** So long `acquire` waits. */
export const ACQUIRE_PATIENCE_MS = 30_000;
const MIN_RENEWAL_MS = 1000;
const PARAMETERS = [
  dhcp.OPT_SUBNET_MASK,
  dhcp.OPT_ROUTER,
  dhcp.OPT_DNS,
  dhcp.OPT_DOMAIN,
  dhcp.OPT_MTU,
  dhcp.OPT_SEARCH,
];
const MESSAGE_ROOM = dhcp.MIN_MESSAGE_BYTES + 276;

export interface DhcpLease {
  readonly address: Ip;
  readonly prefix: number;
  readonly router: Ip | null;
  readonly servers: readonly Ip[];
  readonly domain: string | null;
  readonly leaseSeconds: number;
}

type State = 'idle' | 'selecting' | 'requesting' | 'bound' | 'renewing';

export class DhcpClient {
  lease: DhcpLease | null = null;
  readonly #ip: IpLayer;
  readonly #udp: Udp;
  readonly #hostname: string;
  readonly #onChange: () => void;
  readonly #alarm: Alarm;
  #socket: UdpSocket | null = null;
  #state: State = 'idle';
  #xid = 0;
  #retryMs = FIRST_RETRY_MS;
  #boundMs = 0;
  #waiting: { readonly resolve: (lease: DhcpLease) => void; readonly reject: (error: GuestError) => void }[] = [];

  constructor(ip: IpLayer, udpLayer: Udp, hostname: string, onChange: () => void) {
    this.#ip = ip;
    this.#udp = udpLayer;
    this.#hostname = hostname;
    this.#onChange = onChange;
    this.#alarm = new Alarm(ip.clock, () => this.#onAlarm());
  }

  /** Rejects with ETIMEDOUT when no server has an address for it. */
  acquire(timeoutMs: number = ACQUIRE_PATIENCE_MS): Promise<DhcpLease> {
    if (this.lease !== null) return Promise.resolve(this.lease);
    const { promise, resolve, reject } = Promise.withResolvers<DhcpLease>();
    const cancel = this.#ip.clock.after(timeoutMs, () =>
      reject(new GuestError('ETIMEDOUT', `no DHCP server gave "${this.#hostname}" an address within ${timeoutMs} ms`)),
    );
    this.#waiting.push({ resolve, reject });
    if (this.#state === 'idle') this.#start();
    return promise.finally(cancel);
  }

  /** Gives the address back (RFC 2131 §4.4.6). */
  release(): void {
    if (this.lease === null) return;
    this.#send(dhcp.RELEASE, this.lease.address.v4, []);
    this.#lose();
    this.close();
  }

  close(): void {
    this.#alarm.clear();
    this.#socket?.close();
    this.#socket = null;
    this.#state = 'idle';
    for (const { reject } of this.#waiting.splice(0)) reject(new GuestError('ENETDOWN', 'the guest is gone'));
  }

  #start(): void {
    this.#socket ??= this.#listen();
    this.#state = 'selecting';
    this.#retryMs = FIRST_RETRY_MS;
    this.#discover();
  }

  #listen(): UdpSocket {
    const socket = this.#udp.bind(dhcp.CLIENT_PORT);
    void (async () => {
      for await (const { data } of socket) this.#onMessage(data);
    })();
    return socket;
  }

  #discover(): void {
    this.#xid = this.#ip.random() >>> 0;
    this.#send(dhcp.DISCOVER, 0, []);
    this.#again();
  }

  #again(): void {
    this.#alarm.set(this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  #onAlarm(): void {
    switch (this.#state) {
      case 'selecting':
      case 'requesting':
        this.#state = 'selecting';
        return this.#discover();
      case 'bound':
        this.#state = 'renewing';
        this.#xid = this.#ip.random() >>> 0;
        this.#retryMs = FIRST_RETRY_MS;
        return this.#renew();
      case 'renewing':
        if (this.#ip.clock.now() - this.#boundMs < this.lease!.leaseSeconds * 1000) return this.#renew();
        this.#lose();
        return this.#start();
      default: // idle: nothing is due
    }
  }

  #renew(): void {
    this.#send(dhcp.REQUEST, this.lease!.address.v4, []);
    this.#again();
  }

  #onMessage(data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const message = dhcp.parseDhcp4(view, 0, data.length);
    if (message === null || message.op !== dhcp.BOOT_REPLY || message.xid !== this.#xid) return;
    const type = dhcp.optionU8(message, dhcp.OPT_MESSAGE_TYPE);
    if (type === dhcp.OFFER && this.#state === 'selecting') return this.#request(message);
    if (this.#state !== 'requesting' && this.#state !== 'renewing') return;
    if (type === dhcp.ACK) this.#bind(message);
    else if (type === dhcp.NAK) {
      this.#lose();
      this.#start();
    }
  }

  #request(offer: dhcp.Dhcp4Message): void {
    this.#state = 'requesting';
    this.#retryMs = FIRST_RETRY_MS;
    this.#send(dhcp.REQUEST, 0, [
      dhcp.u32Option(dhcp.OPT_REQUESTED_IP, offer.yiaddr),
      dhcp.u32Option(dhcp.OPT_SERVER_ID, dhcp.optionU32(offer, dhcp.OPT_SERVER_ID)),
    ]);
    this.#again();
  }

  #bind(message: dhcp.Dhcp4Message): void {
    const lease = leaseOf(message);
    const isNew = this.lease?.address.text !== lease.address.text;
    this.lease = lease;
    this.#state = 'bound';
    this.#boundMs = this.#ip.clock.now();
    const { address, prefix, router } = lease;
    this.#ip.address4 = { ip: address, prefix };
    this.#ip.router4 = router;
    const mtu = dhcp.optionU16(message, dhcp.OPT_MTU);
    if (mtu >= 576) this.#ip.mtuBytes = mtu;
    if (isNew) this.#ip.announce();
    this.#alarm.set(Math.max(MIN_RENEWAL_MS, lease.leaseSeconds * 500)); // T1
    for (const { resolve } of this.#waiting.splice(0)) resolve(lease);
    this.#onChange();
  }

  #lose(): void {
    this.lease = null;
    this.#ip.address4 = null;
    this.#ip.router4 = null;
    this.#onChange();
  }

  #send(type: number, ciaddr: number, options: readonly dhcp.Dhcp4Option[]): void {
    const chaddr = new Uint8Array(16);
    const view = new DataView(chaddr.buffer);
    view.setUint16(0, this.#ip.mac.hi);
    view.setUint32(2, this.#ip.mac.lo);
    const message = dhcp.emitDhcp4(
      {
        ...{ op: dhcp.BOOT_REQUEST, htype: dhcp.HTYPE_ETHERNET, hlen: 6, hops: 0, xid: this.#xid, secs: 0 },
        ...{ flags: ciaddr === 0 ? dhcp.FLAG_BROADCAST : 0, ciaddr, yiaddr: 0, siaddr: 0, giaddr: 0, chaddr },
        ...{ sname: '', file: '' },
        options: [
          dhcp.u8Option(dhcp.OPT_MESSAGE_TYPE, type),
          ...options,
          dhcp.textOption(dhcp.OPT_HOSTNAME, this.#hostname),
          [dhcp.OPT_PARAMETER_LIST, Uint8Array.from(PARAMETERS)],
        ],
      },
      MESSAGE_ROOM,
    );
    const payload = new Uint8Array(udp.HEADER_LEN + message.length);
    udp.emit(new DataView(payload.buffer), 0, dhcp.CLIENT_PORT, dhcp.SERVER_PORT, payload.length);
    payload.set(message, udp.HEADER_LEN);
    this.#ip.send({
      ...{ src: ciaddr === 0 ? ANY4 : ip4(ciaddr), dst: BROADCAST, protocol: PROTO_UDP, payload },
      seal: (target, pseudo) => udp.setChecksum(target, 0, pseudo),
    });
  }
}

function leaseOf(message: dhcp.Dhcp4Message): DhcpLease {
  const mask = message.options.has(dhcp.OPT_SUBNET_MASK) ? dhcp.optionU32(message, dhcp.OPT_SUBNET_MASK) : 0xffff_ff00;
  const domain = message.options.get(dhcp.OPT_DOMAIN);
  return {
    address: ip4(message.yiaddr),
    prefix: prefixOfMask4(mask) ?? 24,
    router: addressesOf(message, dhcp.OPT_ROUTER)[0] ?? null,
    servers: addressesOf(message, dhcp.OPT_DNS),
    domain: domain === undefined ? null : new TextDecoder().decode(domain).replace(/\0+$/, ''),
    leaseSeconds: dhcp.optionU32(message, dhcp.OPT_LEASE_TIME),
  };
}

function addressesOf(message: dhcp.Dhcp4Message, code: number): Ip[] {
  const bytes = message.options.get(code) ?? new Uint8Array(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length >>> 2 }, (_, i) => ip4(view.getUint32(4 * i)));
}
