/**
 * How to reach one guest endpoint: segment, port, MAC and the two addresses of a conversation.
 *
 * Zone: packet.  Addresses are four int32 words, IPv4 as ::ffff:a.b.c.d, so that one record, one hash key and one code
 * path serve both families.  `guest` is the guest's side, `remote` what the guest believes it talks to.
 */

import type { FrameRun } from '../core/frame-run.ts';

/** A guest's port as the stack sees it; switching's Port fits. */
export interface GuestPort {
  readonly id: number;
  readonly nicKey: string;
  readonly guest: string;
  /** Bytes the link takes without a drop. */
  room(): number;
  /** The link itself bounds what is under way from the guest: a socket's buffer lies between. */
  readonly isBounded?: boolean;
  /** Where frames for the guest may be built in place. */
  readonly run?: FrameRun | null;
}

/** The segment as the stack sees it; switching's Segment fits. */
export interface SegmentOutput {
  readonly id: number;
  sendTo(port: GuestPort, off: number, len: number): void;
  flood(off: number, len: number): void;
}

export const MAPPED = 0xffff; // third word of ::ffff:0:0/96

export class Path {
  segment: SegmentOutput | null = null;
  port: GuestPort | null = null;
  /** 4 or 6. */
  family = 4;
  macHi = 0;
  macLo = 0;
  guest0 = 0;
  guest1 = 0;
  guest2 = 0;
  guest3 = 0;
  remote0 = 0;
  remote1 = 0;
  remote2 = 0;
  remote3 = 0;

  /** Takes segment, port, MAC and addresses of another path. */
  copyFrom(other: Path): void {
    this.segment = other.segment;
    this.port = other.port;
    this.family = other.family;
    this.macHi = other.macHi;
    this.macLo = other.macLo;
    this.guest0 = other.guest0;
    this.guest1 = other.guest1;
    this.guest2 = other.guest2;
    this.guest3 = other.guest3;
    this.remote0 = other.remote0;
    this.remote1 = other.remote1;
    this.remote2 = other.remote2;
    this.remote3 = other.remote3;
  }

  setGuest(w0: number, w1: number, w2: number, w3: number): void {
    this.guest0 = w0 | 0;
    this.guest1 = w1 | 0;
    this.guest2 = w2 | 0;
    this.guest3 = w3 | 0;
  }

  setRemote(w0: number, w1: number, w2: number, w3: number): void {
    this.remote0 = w0 | 0;
    this.remote1 = w1 | 0;
    this.remote2 = w2 | 0;
    this.remote3 = w3 | 0;
  }
}

/** Ten words for core/flow-table: addresses, ports, segment. */
export function fillKey(key: Int32Array, path: Path, guestPort: number, remotePort: number): void {
  key[0] = path.guest0;
  key[1] = path.guest1;
  key[2] = path.guest2;
  key[3] = path.guest3;
  key[4] = path.remote0;
  key[5] = path.remote1;
  key[6] = path.remote2;
  key[7] = path.remote3;
  key[8] = (guestPort << 16) | remotePort;
  key[9] = path.segment!.id;
}
