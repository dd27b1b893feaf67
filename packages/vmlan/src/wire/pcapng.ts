/**
 * Capture files in pcapng (IETF draft-ietf-opsawg-pcapng). Zone: control.
 * Each function returns one whole block, little endian; a file is sectionHeader, then one interfaceDescription per
 * interface (numbered from 0 in that order, each before its first packet), enhancedPacket and nameResolution blocks, and
 * at the end an interfaceStatistics for each interface. Timestamps are microseconds since 1970, which a double holds.
 */
export const LINKTYPE_ETHERNET = 1;

export const SECTION_HEADER = 0x0a0d0d0a;
export const INTERFACE_DESCRIPTION = 1;
export const NAME_RESOLUTION = 4;
export const INTERFACE_STATISTICS = 5;
export const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

const OPTION_COMMENT = 1;
const OPTION_SHB_HARDWARE = 2;
const OPTION_SHB_OS = 3;
const OPTION_SHB_USERAPPL = 4;
const OPTION_IF_NAME = 2;
const OPTION_IF_DESCRIPTION = 3;
const OPTION_IF_MAC = 6;
const OPTION_IF_TSRESOL = 9;
const OPTION_IF_FILTER = 11;
const OPTION_EPB_FLAGS = 2;
const OPTION_EPB_DROPCOUNT = 4;
const OPTION_ISB_STARTTIME = 2;
const OPTION_ISB_ENDTIME = 3;
const OPTION_ISB_IFRECV = 4;
const OPTION_ISB_FILTERACCEPT = 6;
const OPTION_ISB_OSDROP = 7;
const OPTION_ISB_USRDELIV = 8;
const NAME_END = 0;
const NAME_IPV4 = 1;
const NAME_IPV6 = 2;

const TSRESOL_MICROSECONDS = 6; // 10^-6 s
const FILTER_IS_TEXT = 0; // a libpcap filter string
const WORD = 2 ** 32;

type Option = readonly [code: number, value: Uint8Array];

export interface SectionHeader {
  readonly application: string;
  readonly hardware?: string | undefined;
  readonly os?: string | undefined;
}

export interface InterfaceDescription {
  readonly name: string;
  readonly description?: string | undefined;
  /** The card's own MAC, six bytes. */
  readonly mac?: Uint8Array | undefined;
  /** What was captured of it alone. */
  readonly filter?: string | undefined;
  /** Bytes kept of each packet; 0 (the default) = all. */
  readonly snapLen?: number | undefined;
}

export interface EnhancedPacket {
  readonly interfaceId: number;
  readonly timestampUs: number;
  /** The frame, cut to the snap length. */
  readonly data: Uint8Array;
  /** Length on the wire; default: that of `data`. */
  readonly originalLen?: number;
  readonly direction?: 'inbound' | 'outbound';
  /** Packets of this interface that are missing between the one before and this one. */
  readonly lost?: number;
  readonly comment?: string | undefined;
}

export interface InterfaceStatistics {
  readonly interfaceId: number;
  readonly startUs: number;
  readonly endUs: number;
  /** Packets that came by, that the filter took, that were lost for want of room, and that are in the file. */
  readonly received: number;
  readonly accepted: number;
  readonly lost: number;
  readonly delivered: number;
}

export interface NameRecord {
  /** Four or sixteen bytes. */
  readonly address: Uint8Array;
  readonly name: string;
}

export function sectionHeader({ application, hardware, os }: SectionHeader): Uint8Array {
  const body = new Uint8Array(16);
  const v = new DataView(body.buffer);
  v.setUint32(0, BYTE_ORDER_MAGIC, true);
  v.setUint16(4, 1, true); // version 1.0
  v.setBigInt64(8, -1n, true); // section length unknown
  return block(SECTION_HEADER, body, [
    ...text(OPTION_SHB_HARDWARE, hardware),
    ...text(OPTION_SHB_OS, os),
    ...text(OPTION_SHB_USERAPPL, application),
  ]);
}

export function interfaceDescription(of: InterfaceDescription): Uint8Array {
  const body = new Uint8Array(8);
  const v = new DataView(body.buffer);
  v.setUint16(0, LINKTYPE_ETHERNET, true);
  v.setUint32(4, of.snapLen ?? 0, true);
  return block(INTERFACE_DESCRIPTION, body, [
    ...text(OPTION_IF_NAME, of.name),
    ...text(OPTION_IF_DESCRIPTION, of.description),
    ...(of.mac === undefined ? [] : [[OPTION_IF_MAC, of.mac] as const]),
    [OPTION_IF_TSRESOL, Uint8Array.of(TSRESOL_MICROSECONDS)],
    ...(of.filter === undefined
      ? []
      : [[OPTION_IF_FILTER, Uint8Array.of(FILTER_IS_TEXT, ...utf8(of.filter).subarray(0, 65534))] as const]),
  ]);
}

export function enhancedPacket(packet: EnhancedPacket): Uint8Array {
  const body = new Uint8Array(20 + padded(packet.data.length));
  const v = new DataView(body.buffer);
  v.setUint32(0, packet.interfaceId, true);
  setTime(v, 4, packet.timestampUs);
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
  if (packet.lost !== undefined && packet.lost > 0) options.push([OPTION_EPB_DROPCOUNT, count(packet.lost)]);
  options.push(...text(OPTION_COMMENT, packet.comment));
  return options;
}

export function interfaceStatistics(of: InterfaceStatistics): Uint8Array {
  const body = new Uint8Array(12);
  const v = new DataView(body.buffer);
  v.setUint32(0, of.interfaceId, true);
  setTime(v, 4, of.endUs);
  return block(INTERFACE_STATISTICS, body, [
    [OPTION_ISB_STARTTIME, time(of.startUs)],
    [OPTION_ISB_ENDTIME, time(of.endUs)],
    [OPTION_ISB_IFRECV, count(of.received)],
    [OPTION_ISB_FILTERACCEPT, count(of.accepted)],
    [OPTION_ISB_OSDROP, count(of.lost)],
    [OPTION_ISB_USRDELIV, count(of.delivered)],
  ]);
}

export function nameResolution(records: readonly NameRecord[]): Uint8Array {
  const parts = records.map(({ address, name }) => {
    const value = new Uint8Array([...address, ...utf8(name).subarray(0, 255), 0]);
    return option([address.length === 4 ? NAME_IPV4 : NAME_IPV6, value]);
  });
  const end = new Uint8Array([NAME_END, 0, 0, 0]);
  return block(NAME_RESOLUTION, concat([...parts, end]), []);
}

/** Type, total length, body, options with their end mark, total length once more. */
function block(type: number, body: Uint8Array, options: readonly Option[]): Uint8Array {
  const encoded = options.map(option);
  const optionsLen = encoded.reduce((total, bytes) => total + bytes.length, 0);
  const endLen = options.length > 0 ? 4 : 0;
  const out = new Uint8Array(12 + body.length + optionsLen + endLen);
  const v = new DataView(out.buffer);
  v.setUint32(0, type, true);
  v.setUint32(4, out.length, true);
  out.set(body, 8);
  let p = 8 + body.length;
  for (const bytes of encoded) {
    out.set(bytes, p);
    p += bytes.length;
  }
  v.setUint32(out.length - 4, out.length, true);
  return out;
}

function option([code, value]: Option): Uint8Array {
  const out = new Uint8Array(4 + padded(value.length));
  const v = new DataView(out.buffer);
  v.setUint16(0, code, true);
  v.setUint16(2, value.length, true);
  out.set(value, 4);
  return out;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let p = 0;
  for (const part of parts) {
    out.set(part, p);
    p += part.length;
  }
  return out;
}

/** High word, then low word. */
function setTime(v: DataView, o: number, us: number): void {
  v.setUint32(o, Math.floor(us / WORD), true);
  v.setUint32(o + 4, us % WORD, true);
}

function time(us: number): Uint8Array {
  const bytes = new Uint8Array(8);
  setTime(new DataView(bytes.buffer), 0, us);
  return bytes;
}

/** 64 bits, low word first. */
function count(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

const text = (code: number, value: string | undefined): Option[] => (value === undefined ? [] : [[code, utf8(value)]]);
/** An option's length is 16 bits: longer text is cut, at worst within a character. */
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value).subarray(0, 65535);
const padded = (len: number): number => (len + 3) & ~3;
