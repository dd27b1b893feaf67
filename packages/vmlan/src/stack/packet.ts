/**
 * The packet being handled: one record per thread, re-aimed at each frame and borrowed until the handler returns.
 *
 * Zone: packet.  It is a Path seen from the guest that sent it (`guest` = source, `remote` = destination), plus where the
 * layers lie in the arena.
 */
import { Path } from './path.ts';

export class Packet extends Path {
  /** Offset of the Ethernet header; the virtio_net_hdr lies before it. */
  frame = 0;
  /** Offset of the IP header and bytes of the IP packet. */
  ip = 0;
  ipLen = 0;
  protocol = 0;
  hopLimit = 0;
  /** Offset and length of the transport header with its payload. */
  l4 = 0;
  l4Len = 0;
  /** The link vouches for the transport checksum (verified, or still to be filled in). */
  trusted = false;
  /** Payload of each datagram of a run that the link left uncut (UDP segmentation offload); 0: the packet is one. */
  runSize = 0;
  /** Sent to a group address. */
  group = false;
}
