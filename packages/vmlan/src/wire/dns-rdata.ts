/**
 * RDATA: one table of layouts and three readers of it: expand compressed names, print as text, parse from text.
 *
 * Zone: flow (expandRdata), control (the rest).  Text is the zone-file form (RFC 1035 §5.1); a type without a layout is raw
 * octets, in text `\# LENGTH HEX` (RFC 3597 §5).  Layouts: RFC 1035, 1183, 2163, 2230, 2782, 3403, 3596, 6672, 8659, 9460.
 */
import { TYPE, copyOctets } from './dns.ts';
import type { Field } from './dns-fields.ts';
import {
  ipv4,
  ipv6,
  name,
  parameters,
  plainName,
  string,
  strings,
  tag,
  text as octetText,
  u16,
  u32,
  u8,
} from './dns-fields.ts';
import { MAX_NAME_OCTETS, expandName } from './dns-name.ts';
import { tokens } from './dns-text.ts';

/** Types without a name in TYPE that may carry compressed names (RFC 3597 §4). */
const MD = 3;
const MF = 4;
const MB = 7;
const MG = 8;
const MR = 9;
const MINFO = 14;
const RP = 17;
const AFSDB = 18;
const RT = 21;
const PX = 26;
const KX = 36;

const SVCB_LAYOUT: readonly Field[] = [u16, plainName, parameters];
const LAYOUTS: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [TYPE.A, [ipv4]],
  [TYPE.AAAA, [ipv6]],
  ...[TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.DNAME, MD, MF, MB, MG, MR].map((type): [number, Field[]] => [type, [name]]),
  ...[MINFO, RP].map((type): [number, Field[]] => [type, [name, name]]),
  ...[TYPE.MX, AFSDB, RT, KX].map((type): [number, Field[]] => [type, [u16, name]]),
  [PX, [u16, name, name]],
  [TYPE.SOA, [name, name, u32, u32, u32, u32, u32]],
  [TYPE.TXT, [strings]],
  [TYPE.SRV, [u16, u16, u16, name]],
  [TYPE.NAPTR, [u16, u16, string, string, string, name]],
  [TYPE.CAA, [u8, tag, octetText]],
  [TYPE.SVCB, SVCB_LAYOUT],
  [TYPE.HTTPS, SVCB_LAYOUT],
]);

/** Whether records of the type have a text form of their own, not only raw octets. */
export function hasLayout(type: number): boolean {
  return LAYOUTS.has(type);
}

/** NAPTR is the longest with a name: two numbers, three strings, the name. */
const $expanded = new Uint8Array(4 + 3 * 256 + 2 * MAX_NAME_OCTETS);

/** A copy of the RDATA with its names uncompressed, null if a name in it is malformed.  Other contents are not judged. */
export function expandRdata(type: number, bytes: Uint8Array, offset: number, octets: number): Uint8Array | null {
  const layout = LAYOUTS.get(type);
  if (layout === undefined || !layout.includes(name) || octets === 0) return copyOctets(bytes, offset, offset + octets);
  const end = offset + octets;
  let at = offset;
  let written = 0;
  for (const field of layout) {
    const taken = field.octets(bytes, at, end);
    if (taken < 0 || at + taken > end) return null;
    const added = field === name ? expandName(bytes, at, $expanded, written) : taken;
    if (added < 0) return null;
    if (field !== name) $expanded.set(bytes.subarray(at, at + taken), written);
    at += taken;
    written += added;
  }
  return at === end ? $expanded.slice(0, written) : null;
}

/** The text of uncompressed RDATA; in raw form where the type is unknown or the octets do not fit its layout. */
export function rdataText(type: number, rdata: Uint8Array): string {
  const layout = LAYOUTS.get(type);
  return (layout === undefined ? null : layoutText(layout, rdata)) ?? rawText(rdata);
}

function rawText(rdata: Uint8Array): string {
  return `\\# ${rdata.length} ${Buffer.from(rdata).toString('hex')}`.trimEnd();
}

function layoutText(layout: readonly Field[], rdata: Uint8Array): string | null {
  const parts: string[] = [];
  let at = 0;
  for (const field of layout) {
    const end = at + field.octets(rdata, at, rdata.length);
    if (end < at || end > rdata.length) return null;
    const printed = field.print(rdata.subarray(at, end));
    if (printed === null) return null;
    if (printed !== '') parts.push(printed);
    at = end;
  }
  return at === rdata.length ? parts.join(' ') : null;
}

/**
 * The RDATA that a text means, null if it does not fit the type.  Beyond the zone-file form, a TXT value without quotes is
 * one string whatever blanks it has, and a string longer than the 255 octets it may have becomes several.
 */
export function parseRdata(type: number, text: string): Uint8Array | null {
  const layout = LAYOUTS.get(type);
  if (layout === undefined || /^\s*\\#/.test(text)) return parseRaw(text);
  const words = type === TYPE.TXT && !text.includes('"') ? [text] : tokens(text);
  if (words === null) return null;
  let octets = '';
  for (const field of layout) {
    const added = field.parse(words);
    if (added === null) return null;
    octets += added;
  }
  return words.length > 0 ? null : Uint8Array.from(Buffer.from(octets, 'latin1'));
}

/** `\# LENGTH HEX`, or the bare digits, which must then be some. */
function parseRaw(text: string): Uint8Array | null {
  const [, length, hex = ''] = /^\s*(?:\\#\s+(\d{1,5})(?=\s|$))?\s*((?:[0-9A-Fa-f]{2}|\s)*)$/.exec(text) ?? ['', '-1'];
  const rdata = Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
  if (length === undefined) return rdata.length > 0 ? rdata : null;
  return Number(length) === rdata.length ? rdata : null;
}
