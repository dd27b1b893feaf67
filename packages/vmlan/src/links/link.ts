/**
 * What every link shares: the side towards the switch.
 *
 * Zone: packet.  A link reads frames from its transport and hands each to `onFrame`, with FRAME_HEADROOM bytes before
 * it holding a virtio_net_hdr; it implements switching's LinkOutput for the other direction.
 */
import type { LinkOutput } from '../switching/port.ts';

/** Longest frame a link takes: Ethernet, a VLAN tag and the longest IP packet, bytes. */
export const MAX_FRAME_LEN: number = 18 + 65535;
/** Frames handled per wake-up and source before others get their turn. */
export const BUDGET = 32;

export interface LinkInput {
  onFrame(off: number, len: number, nowMs: number): void;
  /** How long the link should leave what its guest sends where it is, ms; asked between frames. */
  restMs(nowMs: number): number;
  /** The guest's end is there (again). */
  onUp(link: LinkOutput): void;
  /** The guest's end is gone; a link that can come back says so with `onUp`. */
  onDown(link: LinkOutput): void;
}
