/**
 * Capture files in pcapng (IETF draft-ietf-opsawg-pcapng). Zone: control.
 * Each function returns one whole block, little endian; a file is sectionHeader, then one interfaceDescription per
 * interface (numbered from 0 in that order), then enhancedPacket blocks. Timestamps are nanoseconds since 1970.
 */
export const LINKTYPE_ETHERNET = 1;

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPTION_COMMENT = 1;
const OPTION_SHB_USERAPPL = 4;
const OPTION_IF_NAME = 2;
const OPTION_IF_TSRESOL = 9;
const OPTION_EPB_FLAGS = 2;

const TSRESOL_NANOSECONDS = 9; // 10^-9 s

type Option = readonly [code: number, value: Uint8Array];

export interface InterfaceDescription {
  readonly name: string;
  /** Bytes kept of each packet; 0 (the default) = all. */
  readonly snapLen?: number;
}

export interface EnhancedPacket {
  readonly interfaceId: number;
  readonly timestampNs: bigint;
  /** The frame, cut to the snap length. */
  readonly data: Uint8Array;
  /** Length on the wire; default: that of `data`. */
  readonly originalLen?: number;
  readonly direction?: 'inbound' | 'outbound';
  readonly comment?: string;
}

export function sectionHeader(application: string): Uint8Array {
  const body = new Uint8Array(16);
  const v = new DataView(body.buffer);
  v.setUint32(0, BYTE_ORDER_MAGIC, true);
  v.setUint16(4, 1, true); // version 1.0
  v.setBigInt64(8, -1n, true); // section length unknown
  return block(SECTION_HEADER, body, [[OPTION_SHB_USERAPPL, utf8(application)]]);
}

export function interfaceDescription(description: InterfaceDescription): Uint8Array {
  const body = new Uint8Array(8);
  const v = new DataView(body.buffer);
  v.setUint16(0, LINKTYPE_ETHERNET, true);
  v.setUint32(4, description.snapLen ?? 0, true);
  return block(INTERFACE_DESCRIPTION, body, [
    [OPTION_IF_NAME, utf8(description.name)],
    [OPTION_IF_TSRESOL, Uint8Array.of(TSRESOL_NANOSECONDS)],
  ]);
}

export function enhancedPacket(packet: EnhancedPacket): Uint8Array {
  const body = new Uint8Array(20 + padded(packet.data.length));
  const v = new DataView(body.buffer);
  v.setUint32(0, packet.interfaceId, true);
  v.setUint32(4, Number((packet.timestampNs >> 32n) & 0xffff_ffffn), true);
  v.setUint32(8, Number(packet.timestampNs & 0xffff_ffffn), true);
  v.setUint32(12, packet.data.length, true);
  v.setUint32(16, packet.originalLen ?? packet.data.length, true);
  body.set(packet.data, 20);
  return block(ENHANCED_PACKET, body, packetOptions(packet));
}

function packetOptions(packet: EnhancedPacket): Option[] {
  const options: Option[] = [];
  if (packet.direction !== undefined) {
    options.push([OPTION_EPB_FLAGS, Uint8Array.of(packet.direction === 'inbound' ? 1 : 2, 0, 0, 0)]);
  }
  if (packet.comment !== undefined) options.push([OPTION_COMMENT, utf8(packet.comment)]);
  return options;
}

/** Type, total length, body, options with their end mark, total length once more. */
function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  const optionsLen = options.reduce((total, [, value]) => total + 4 + padded(value.length), 0);
  const endLen = options.length > 0 ? 4 : 0;
  const out = new Uint8Array(12 + body.length + optionsLen + endLen);
  const v = new DataView(out.buffer);
  v.setUint32(0, type, true);
  v.setUint32(4, out.length, true);
  out.set(body, 8);
  let p = 8 + body.length;
  for (const [code, value] of options) {
    v.setUint16(p, code, true);
    v.setUint16(p + 2, value.length, true);
    out.set(value, p + 4);
    p += 4 + padded(value.length);
  }
  v.setUint32(out.length - 4, out.length, true);
  return out;
}

/** An option's length is 16 bits: longer text is cut, at worst within a character. */
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text).subarray(0, 65535);
const padded = (len: number): number => (len + 3) & ~3;
