/**
 * What a host makes of router advertisements: addresses, a way out, name servers, the MTU (RFC 4861 §6.3, RFC 4862,
 * RFC 8106).
 *
 * Zone: control.
 */
import * as ndp from '../wire/ndp.ts';
import { PREFIX_AUTONOMOUS, PREFIX_ON_LINK } from '../wire/ndp-options.ts';
import { Alarm } from './clock.ts';
import type { IpLayer } from './ip-layer.ts';
import { ALL_ROUTERS, ip6 } from './ip.ts';
import type { Ip } from './ip.ts';
import type { Packet } from './packet.ts';

export const SOLICIT_INTERVAL_MS = 4000; // RTR_SOLICITATION_INTERVAL
export const MAX_SOLICITATIONS = 3;
const MAX_SERVERS = 3;

export class Autoconf {
  readonly #ip: IpLayer;
  readonly #alarm: Alarm;
  readonly #onChange: () => void;
  #asked = 0;
  servers: readonly Ip[] = [];

  constructor(ip: IpLayer, onChange: () => void) {
    this.#ip = ip;
    this.#onChange = onChange;
    this.#alarm = new Alarm(ip.clock, () => this.start());
    ip.onRouterAdvert = (packet) => this.#onAdvert(packet);
  }

  start(): void {
    if (this.#asked >= MAX_SOLICITATIONS) return;
    this.#asked++;
    this.#alarm.set(SOLICIT_INTERVAL_MS);
    this.#ip.solicitRouters(ALL_ROUTERS);
  }

  close(): void {
    this.#alarm.clear();
  }

  #onAdvert(packet: Packet): void {
    this.#alarm.clear();
    const { view, offset, length, src } = packet;
    if (ndp.raLifetimeS(view, offset) > 0) this.#ip.router6 = src;
    else if (this.#ip.router6?.text === src.text) this.#ip.router6 = null;
    const servers: Ip[] = [];
    const end = offset + length;
    for (let p = offset + ndp.ROUTER_ADVERT_LEN; p + 8 <= end; p += ndp.optionLen(view, p)) {
      const type = view.getUint8(p);
      if (type === ndp.OPTION_PREFIX && ndp.optionLen(view, p) === 32) this.#onPrefix(view, p);
      else if (type === ndp.OPTION_RDNSS) servers.push(...serversOf(view, p));
      else if (type === ndp.OPTION_MTU) this.#onMtu(view.getUint32(p + 4));
    }
    if (servers.length > 0) this.servers = servers.slice(0, MAX_SERVERS);
    this.#onChange();
  }

  #onPrefix(view: DataView, p: number): void {
    const prefix = view.getUint8(p + 2);
    const flags = view.getUint8(p + 3);
    const isValid = view.getUint32(p + 4) > 0;
    const network = addressAt(view, p + 16);
    const key = `${network.text}/${prefix}`;
    if (!isValid) {
      this.#ip.onLink6.delete(key);
      this.#ip.addresses6.delete(key);
      return;
    }
    if ((flags & PREFIX_ON_LINK) !== 0) this.#ip.addOnLink(key, { ip: network, prefix });
    if ((flags & PREFIX_AUTONOMOUS) === 0 || prefix !== 64 || this.#ip.addresses6.has(key)) return;
    const [w0, w1] = network.words as unknown as [number, number];
    const [, , w2, w3] = this.#ip.linkLocal.words as unknown as [number, number, number, number];
    this.#ip.addPrefix(key, { ip: ip6(w0, w1, w2, w3), prefix });
    this.#ip.announce();
  }

  /** RFC 4861 §6.3.4: between what IPv6 needs and what the link has. */
  #onMtu(mtu: number): void {
    if (mtu >= 1280 && mtu < this.#ip.mtuBytes) this.#ip.mtuBytes = mtu;
  }
}

function serversOf(view: DataView, p: number): Ip[] {
  const count = (ndp.optionLen(view, p) - 8) >>> 4;
  return Array.from({ length: count }, (_, i) => addressAt(view, p + 8 + 16 * i));
}

const addressAt = (view: DataView, p: number): Ip =>
  ip6(view.getUint32(p), view.getUint32(p + 4), view.getUint32(p + 8), view.getUint32(p + 12));
