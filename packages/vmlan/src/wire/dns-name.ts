/**
 * Domain names: octets on the wire, text for people, and lower-case keys for tables (RFC 1035 §3.1, §4.1.4, §5.1).
 *
 * Zone: packet (skipName, expandName, nameOctets, sameOctets), flow (nameKey, nameText, parseName).
 * A *wire name* is uncompressed: length octet, label, …, zero.  A *key* is its lower-case text without the final dot, so that
 * the root is '' and every '.' parts two labels: dots and other special octets inside a label are written \DDD.
 */

/** RFC 1035 §2.3.4, the length octets and the root included. */
export const MAX_NAME_OCTETS = 255;
const MAX_LABEL_OCTETS = 63;

const HEADER_OCTETS = 12;
const POINTER = 0xc0;
/** Each octet may become \DDD. */
const MAX_TEXT_OCTETS = 4 * MAX_NAME_OCTETS;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** Octet after the name at `offset`, or -1.  A compression pointer ends a name and is not followed. */
export function skipName(bytes: Uint8Array, offset: number): number {
  const limit = Math.min(bytes.length, offset + MAX_NAME_OCTETS);
  let at = offset;
  while (at < limit) {
    const length = bytes[at]!;
    if (length === 0) return at + 1;
    if (length >= POINTER) return at + 2 <= bytes.length ? at + 2 : -1;
    if (length > MAX_LABEL_OCTETS) return -1;
    at += 1 + length;
  }
  return -1;
}

/** Octets of the uncompressed name at `offset`, or -1: pointers are not accepted. */
export function nameOctets(bytes: Uint8Array, offset: number): number {
  const limit = Math.min(bytes.length, offset + MAX_NAME_OCTETS);
  let at = offset;
  while (at < limit) {
    const length = bytes[at]!;
    if (length === 0) return at + 1 - offset;
    if (length > MAX_LABEL_OCTETS) return -1;
    at += 1 + length;
  }
  return -1;
}

/**
 * Writes the name at `offset` uncompressed to `out` and returns its octets, or -1 if it is malformed.
 * A pointer must lead to an earlier place than the one its label sequence began at (RFC 1035 §4.1.4: a *prior* occurrence),
 * so the walk ends after at most 128 labels whatever the message says.
 */
export function expandName(bytes: Uint8Array, offset: number, out: Uint8Array, outOffset: number): number {
  let at = offset;
  let sequence = offset;
  let written = outOffset;
  while (at < bytes.length) {
    const length = bytes[at]!;
    if (length >= POINTER) {
      if (at + 2 > bytes.length) return -1;
      const target = ((length & 0x3f) << 8) | bytes[at + 1]!;
      if (target >= sequence || target < HEADER_OCTETS) return -1;
      at = sequence = target;
      continue;
    }
    const octets = 1 + length;
    const room = length === 0 ? MAX_NAME_OCTETS : MAX_NAME_OCTETS - 1;
    if (length > MAX_LABEL_OCTETS || at + octets > bytes.length || written - outOffset + octets > room) return -1;
    for (let i = 0; i < octets; i++) out[written + i] = bytes[at + i]!;
    written += octets;
    if (length === 0) return written - outOffset;
    at += octets;
  }
  return -1;
}

/** Names compare without case (RFC 4343); length octets (at most 63) are below the letters and so compare exactly. */
export function sameOctets(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number, octets: number): boolean {
  if (aOffset + octets > a.length || bOffset + octets > b.length) return false;
  for (let i = 0; i < octets; i++) {
    if (lowerCase(a[aOffset + i]!) !== lowerCase(b[bOffset + i]!)) return false;
  }
  return true;
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}

/** For each octet its place in text, 0 if it must be escaped.  Escaped: dot, what zone files give a meaning, non-ASCII. */
const PLAIN: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet > 0x20 && octet < 0x7f && !'.\\"();@$'.includes(String.fromCharCode(octet)) ? octet : 0,
);
const PLAIN_LOWER: Uint8Array = PLAIN.map(lowerCase);

const $text = Buffer.alloc(MAX_TEXT_OCTETS);

function render(bytes: Uint8Array, offset: number, plain: Uint8Array): string {
  let at = offset;
  let end = 0;
  for (let length = bytes[at++]!; length !== 0; length = bytes[at++]!) {
    if (end > 0) $text[end++] = DOT;
    for (const labelEnd = at + length; at < labelEnd; at++) {
      const octet = bytes[at]!;
      const shown = plain[octet]!;
      if (shown !== 0) $text[end++] = shown;
      else end = renderEscape(octet, end);
    }
  }
  return $text.toString('latin1', 0, end);
}

function renderEscape(octet: number, end: number): number {
  $text[end] = BACKSLASH;
  $text[end + 1] = 0x30 + Math.floor(octet / 100);
  $text[end + 2] = 0x30 + (Math.floor(octet / 10) % 10);
  $text[end + 3] = 0x30 + (octet % 10);
  return end + 4;
}

/** The key of the uncompressed, already checked name at `offset`. */
export function nameKey(bytes: Uint8Array, offset = 0): string {
  return render(bytes, offset, PLAIN_LOWER);
}

/** Text with the final dot, case kept: `Web.lab.internal.`; the root is `.`. */
export function nameText(bytes: Uint8Array, offset = 0): string {
  return `${render(bytes, offset, PLAIN)}.`;
}

/** One octet of a name as text: \DDD, \X, or itself (RFC 1035 §5.1). */
const TEXT_OCTET = /\\(?:(\d{3})|(\D))|([!-[\]-~])/y;

/**
 * The wire name of a text with or without its final dot; null if it is not a name.
 * Non-ASCII names must come in their xn-- form.
 */
export function parseName(text: string): Uint8Array | null {
  if (text === '.') return Uint8Array.of(0);
  const out = new Uint8Array(MAX_NAME_OCTETS);
  let label = 0; // where the length octet of the current label goes
  let end = 1;
  for (let at = 0; at < text.length;) {
    if (text.charCodeAt(at) === DOT) {
      if (!closeLabel(out, label, end)) return null;
      label = end++;
      at++;
      continue;
    }
    TEXT_OCTET.lastIndex = at;
    const match = TEXT_OCTET.exec(text);
    if (match === null) return null;
    const octet = match[1] === undefined ? (match[2] ?? match[3] ?? '').charCodeAt(0) : Number(match[1]);
    if (octet > 0xff || end >= MAX_NAME_OCTETS - 1) return null; // one octet stays for the root
    out[end++] = octet;
    at = TEXT_OCTET.lastIndex;
  }
  if (end === label + 1) return label === 0 ? null : out.slice(0, end); // the text ended in its dot
  return closeLabel(out, label, end) ? out.slice(0, end + 1) : null;
}

function closeLabel(out: Uint8Array, label: number, end: number): boolean {
  const octets = end - label - 1;
  out[label] = octets;
  return octets > 0 && octets <= MAX_LABEL_OCTETS;
}
