/**
 * Frames that are built where they leave from: a link with a queue of its own lends the place, so that nobody copies.
 *
 * Zone: packet.  A run is some frames of one length, the last of which may be shorter, `stride` bytes from one to the
 * next.  What lies between them is the link's.  Frames are plain: there is no virtio_net_hdr, checksums are in place.
 */
export interface FrameRun {
  /** Takes place for up to `count` frames of `len` bytes; tells how many there is place for, maybe none. */
  reserveRun(len: number, count: number): number;
  /** Arena offset of the first frame, after `reserveRun`. */
  readonly runOffset: number;
  /** From one frame of `len` bytes to the next. */
  runStride(len: number): number;
  /** The next frame is in place. */
  commitRun(len: number): void;
  /** All are: they may leave. */
  endRun(): void;
}
