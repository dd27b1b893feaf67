/**
 * Golden frames for tests, as Linux puts them on a wire (captured with tcpdump between two namespaces), by field.
 * Zone: control. Guest A is 192.0.2.1, 2001:db8::1, 52:54:00:00:00:0a; guest B ends in 2 and 0b.
 */

/** Bytes of commented hex: each line may end with `//` and a comment. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/\/\/.*$/gm, '').replaceAll(/\s/g, '');
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const ETHERNET_A_TO_B = '5254 0000 000b 5254 0000 000a';
const ETHERNET_B_TO_A = '5254 0000 000a 5254 0000 000b';
const A6 = '2001 0db8 0000 0000 0000 0000 0000 0001';
const B6 = '2001 0db8 0000 0000 0000 0000 0000 0002';

export const ARP_REQUEST: Uint8Array = hex(`
  ffff ffff ffff 5254 0000 000a 0806  // broadcast, from A, ARP
  0001 0800 06 04 0001                // Ethernet, IPv4, lengths, request
  5254 0000 000a c000 0201            // sender A
  0000 0000 0000 c000 0202            // target 192.0.2.2, MAC unknown
`);

export const ARP_REPLY: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 0806
  0001 0800 06 04 0002                // reply
  5254 0000 000b c000 0202            // sender B
  5254 0000 000a c000 0201            // target A
`);

export const ECHO_REQUEST_4: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 0800
  45 00 0024 4d1a 4000 40 01 69bb     // 36 bytes, id 0x4d1a, DF, TTL 64, ICMP, checksum
  c000 0201 c000 0202
  08 00 bbd8 3016 0001                // echo request, id 12310, sequence 1
  0001 0203 0405 0607
`);

export const ECHO_REPLY_4: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 0800
  45 00 0024 5bd1 0000 40 01 9b04
  c000 0202 c000 0201
  00 00 c3d8 3016 0001                // echo reply
  0001 0203 0405 0607
`);

/** The last fragment of a ping of 1500 bytes; header id 0x4d1c, offset 1480. */
export const FRAGMENT_4: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 0800
  45 00 0030 4d1c 00b9 40 01 a8f4     // 48 bytes, offset 185 x 8, no more
  c000 0201 c000 0202
  c0c1 c2c3 c4c5 c6c7 c8c9 cacb cccd cecf d0d1 d2d3 d4d5 d6d7 d8d9 dadb
`);

export const ECHO_REQUEST_6: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 86dd
  6009 ca1b 0010 3a 40                // flow label 0x9ca1b, 16 bytes, ICMPv6, hop limit 64
  ${A6} ${B6}
  80 00 e817 3017 0001                // echo request, id 12311, sequence 1
  0001 0203 0405 0607
`);

export const ECHO_REPLY_6: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 86dd
  600b 4700 0010 3a 40
  ${B6} ${A6}
  81 00 e717 3017 0001
  0001 0203 0405 0607
`);

/** The last fragment of a ping of 1500 bytes: offset 1448, 60 bytes. */
export const FRAGMENT_6: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 86dd
  6009 ca1b 0044 2c 40                // next header 44, fragment
  ${A6} ${B6}
  3a 00 05a8 9871 a8c1                // ICMPv6, offset 1448, no more, id
  a0a1 a2a3 a4a5 a6a7 a8a9 aaab acad aeaf b0b1 b2b3 b4b5 b6b7 b8b9 babb bcbd bebf
  c0c1 c2c3 c4c5 c6c7 c8c9 cacb cccd cecf d0d1 d2d3 d4d5 d6d7 d8d9 dadb
`);

export const NEIGHBOR_SOLICIT: Uint8Array = hex(`
  3333 ff00 0002 5254 0000 000a 86dd  // solicited-node multicast
  6000 0000 0020 3a ff                // 32 bytes, ICMPv6, hop limit 255
  ${A6} ff02 0000 0000 0000 0000 0001 ff00 0002
  87 00 cbc9 0000 0000 ${B6}          // who has B
  01 01 5254 0000 000a                // source link-layer address
`);

export const NEIGHBOR_ADVERT: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 86dd
  6000 0000 0020 3a ff
  ${B6} ${A6}
  88 00 3a14 6000 0000 ${B6}          // solicited, override; target B
  02 01 5254 0000 000b                // target link-layer address
`);

/** Duplicate address detection, with a nonce option (RFC 7527). */
export const DAD_SOLICIT: Uint8Array = hex(`
  3333 ff00 000a 5254 0000 000a 86dd
  6000 0000 0020 3a ff
  0000 0000 0000 0000 0000 0000 0000 0000 ff02 0000 0000 0000 0000 0001 ff00 000a
  87 00 9657 0000 0000 fe80 0000 0000 0000 5054 00ff fe00 000a
  0e01 0761 a6a4 da58                 // nonce
`);

export const ROUTER_SOLICIT: Uint8Array = hex(`
  3333 0000 0002 5254 0000 000a 86dd  // all routers
  6000 0000 0010 3a ff
  fe80 0000 0000 0000 5054 00ff fe00 000a ff02 0000 0000 0000 0000 0000 0000 0002
  85 00 da71 0000 0000
  01 01 5254 0000 000a
`);

/** MLDv2 report behind a hop-by-hop header with router alert. */
export const MLD_REPORT: Uint8Array = hex(`
  3333 0000 0016 5254 0000 000a 86dd
  6000 0000 0038 00 01                // next header 0, hop-by-hop; hop limit 1
  fe80 0000 0000 0000 5054 00ff fe00 000a ff02 0000 0000 0000 0000 0000 0000 0016
  3a 00 05 02 0000 01 00              // ICMPv6, 8 bytes; router alert, PadN
  8f00 1f86 0000 0002                 // two records
  0400 0000 ff02 0000 0000 0000 0000 0001 ff00 000a
  0400 0000 ff02 0000 0000 0000 0000 0001 ff00 0001
`);

export const TCP_SYN_4: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 0800
  45 00 003c 8dbc 4000 40 06 28fc c000 0201 c000 0202
  ee04 0050 9923 7b8e 0000 0000       // ports 60932, 80; seq 2569239438
  a0 02 faf0 eed7 0000                // 40 bytes, SYN, window 64240, checksum
  02 04 05b4                          // MSS 1460
  04 02                               // SACK permitted
  08 0a 8072 56b7 0000 0000           // timestamps 2154976951, 0
  01 03 03 0a                         // NOP, window scale 10
`);

export const TCP_DATA_4: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 0800
  45 00 0037 1d3e 4000 40 06 997f c000 0202 c000 0201
  0050 ee04 799f 9f08 9923 7b94       // seq 2040504072, ack 2569239444
  80 18 0040 0ae8 0000                // 32 bytes, ACK PSH, window 64
  01 01 08 0a 9f61 e2db 8072 56b8     // NOP, NOP, timestamps
  6869 0a                             // an odd number of bytes: "hi\\n"
`);

export const TCP_RST_4: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 0800
  45 00 0028 0000 4000 40 06 b6cc c000 0202 c000 0201
  0063 a99e 0000 0000 5744 2b05
  50 14 0000 ff81 0000                // RST ACK
`);

export const TCP_SYN_ACK_6: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 86dd
  6003 f8fe 0028 06 40 ${B6} ${A6}
  0051 9bb4 c606 f9d4 778a 1696       // ports 81, 39860
  a0 12 fb04 0363 0000                // SYN ACK, window 64260
  02 04 05a0 04 02 08 0a a069 3025 52f3 e0a0 01 03 03 0a
`);

export const UDP_4: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 0800
  45 00 001e 2333 4000 40 11 9398 c000 0201 c000 0202
  b4c1 0009 000a 5601 710a            // ports 46273, 9; 10 bytes; "q\\n"
`);

export const UDP_6: Uint8Array = hex(`
  ${ETHERNET_A_TO_B} 86dd
  600c c5a4 000a 11 40 ${A6} ${B6}
  d9ed 0009 000a 5964 710a
`);

export const PORT_UNREACHABLE_4: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 0800
  45 c0 003a dbc5 0000 40 01 1a3a c000 0202 c000 0201
  03 03 811c 0000 0000                // destination unreachable, port
  45 00 001e 2333 4000 40 11 9398 c000 0201 c000 0202 b4c1 0009 000a 5601 710a
`);

export const PORT_UNREACHABLE_6: Uint8Array = hex(`
  ${ETHERNET_B_TO_A} 86dd
  6004 5e6f 003a 3a 40 ${B6} ${A6}
  01 04 6c32 0000 0000
  600c c5a4 000a 11 40 ${A6} ${B6} d9ed 0009 000a 5964 710a
`);

export const ALL_FRAMES: Readonly<Record<string, Uint8Array>> = {
  ARP_REQUEST,
  ARP_REPLY,
  ECHO_REQUEST_4,
  ECHO_REPLY_4,
  FRAGMENT_4,
  ECHO_REQUEST_6,
  ECHO_REPLY_6,
  FRAGMENT_6,
  NEIGHBOR_SOLICIT,
  NEIGHBOR_ADVERT,
  DAD_SOLICIT,
  ROUTER_SOLICIT,
  MLD_REPORT,
  TCP_SYN_4,
  TCP_DATA_4,
  TCP_RST_4,
  TCP_SYN_ACK_6,
  UDP_4,
  UDP_6,
  PORT_UNREACHABLE_4,
  PORT_UNREACHABLE_6,
};
