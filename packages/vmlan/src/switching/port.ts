/**
 * A segment's end of a link: everything known about one NIC hangs here, never on a MAC alone.
 *
 * Zone: packet to send, control for the rest.  A frame is (off, len) in the arena: `off` is the Ethernet header, and
 * the VNET_HDR_LEN bytes before it hold a virtio_net_hdr (checksum to complete, segmentation).  Frames are borrowed
 * until the call returns; a link that cannot offload completes and cuts them in its own copy.
 */
import type { FrameRun } from '../core/frame-run.ts';
import { FloodShare } from './flood-share.ts';

/** How a port's frames leave: implemented by each link. */
export interface LinkOutput {
  readonly kind: 'stream' | 'dgram' | 'tap' | 'loopback';
  /** Takes the frame or drops it: false means dropped (queue full, peer gone). Never blocks, never throws. */
  send(off: number, len: number): boolean;
  /** Bytes that `send` would take now without a drop; what TCP looks at before it reads from the host. */
  room(): number;
  /** Where frames may be built in place; none where a link has no queue of plain frames. */
  readonly run?: FrameRun;
}

/** What stands between a port and the others while its traffic is shaped. */
export interface PortShaping {
  /** A frame that the port's guest sent. */
  onFromGuest(off: number, len: number): void;
  /** Takes a frame of another port to this one, to let it pass later or never; false: nothing is shaped between them. */
  takesFromPort(portId: number, off: number, len: number): boolean;
  takesToGateway(off: number, len: number): boolean;
  takesFromGateway(off: number, len: number): boolean;
}

/** Who watches a port's frames: a capture. What it is shown is borrowed. */
export interface FrameTap {
  /** Around what becomes of a frame from the guest. */
  beforeFromGuest(off: number, len: number): void;
  afterFromGuest(): void;
  /** Around what becomes of a frame for the guest; `sent` false: it was dropped. */
  beforeToGuest(off: number, len: number): void;
  afterToGuest(sent: boolean): void;
}

export class Port implements FrameRun {
  /** Unique in the network process for its whole life. */
  readonly id: number;
  link: LinkOutput | null = null;
  /** Null while nobody captures. */
  tap: FrameTap | null = null;
  /** Stable identity of the NIC behind it (`web/0`, or `mac:…` once an anonymous guest has spoken). */
  nicKey = '';
  guest = '';
  /** A NIC whose cable is pulled neither sends nor receives. */
  connected = true;
  /** The host itself is behind this port: trusted, and not subject to guest isolation. */
  readonly hostSide: boolean;
  /** null: its traffic is not shaped. */
  shaper: PortShaping | null = null;
  readonly floods: FloodShare = new FloodShare();
  /** MAC of the guest as it says it, once known; hi is 16 bits, lo 32. */
  macHi = 0;
  macLo = 0;
  /** MAC on the wire when another port already carries the guest's own (0,0: none). */
  aliasHi = 0;
  aliasLo = 0;
  /** Learned MACs that point here (mac-table bound). */
  learned = 0;
  /** Claimed addresses that point here (address-table bound). */
  claimed = 0;
  sinceMs = 0;
  framesFromGuest = 0;
  bytesFromGuest = 0;
  framesToGuest = 0;
  bytesToGuest = 0;
  dropsToGuest = 0;
  dropsFromGuest = 0;

  constructor(id: number, hostSide = false) {
    this.id = id;
    this.hostSide = hostSide;
  }

  get isBounded(): boolean {
    return this.link !== null && this.link.kind === 'stream';
  }

  /** Itself, if its link takes frames that are built in place and nothing has to be rewritten in them. */
  get run(): FrameRun | null {
    return this.link?.run !== undefined && this.connected && this.aliasHi === 0 ? this : null;
  }

  get runOffset(): number {
    return this.link!.run!.runOffset;
  }

  get live(): boolean {
    return this.link !== null && this.connected;
  }

  send(off: number, len: number): void {
    if (this.tap === null) this.#deliver(off, len);
    else this.#deliverSeen(this.tap, off, len);
  }

  #deliverSeen(tap: FrameTap, off: number, len: number): void {
    const before = this.framesToGuest;
    tap.beforeToGuest(off, len);
    this.#deliver(off, len);
    tap.afterToGuest(this.framesToGuest !== before);
  }

  #deliver(off: number, len: number): void {
    if (this.link === null || !this.connected) {
      this.dropsToGuest++;
    } else if (this.link.send(off, len)) {
      this.framesToGuest++;
      this.bytesToGuest += len;
    } else {
      this.dropsToGuest++;
    }
  }

  reserveRun(len: number, count: number): number {
    return this.link!.run!.reserveRun(len, count);
  }

  runStride(len: number): number {
    return this.link!.run!.runStride(len);
  }

  commitRun(len: number): void {
    if (this.tap !== null) {
      this.tap.beforeToGuest(this.link!.run!.runOffset, len);
      this.tap.afterToGuest(true);
    }
    this.framesToGuest++;
    this.bytesToGuest += len;
    this.link!.run!.commitRun(len);
  }

  endRun(): void {
    this.link!.run!.endRun();
  }

  room(): number {
    return this.link === null || !this.connected ? 0 : this.link.room();
  }
}
