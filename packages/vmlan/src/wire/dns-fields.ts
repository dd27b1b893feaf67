/**
 * The fields that RDATA is made of: how long each is on the wire, its text, and its octets from text (RFC 1035 §3.3, §5.1).
 *
 * Zone: flow (octets), control (print, parse).  Octets from text are binary strings (dns-text.ts).  Null = not valid.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './address.ts';
import { readUint16, readUint32 } from './dns.ts';
import { nameOctets, nameText, parseName, skipName } from './dns-name.ts';
import { parametersText, parseParameters } from './dns-svcb.ts';
import { characterString, characterStrings, numberOctets, quote, unquote } from './dns-text.ts';

export interface Field {
  /** Octets on the wire at `offset` of a field that must end by `end`; negative if malformed, perhaps more than there are. */
  octets(bytes: Uint8Array, offset: number, end: number): number;
  print(field: Uint8Array): string | null;
  /** Takes the words that it needs off the front. */
  parse(words: string[]): string | null;
}

/** A field of one word. */
function single(octets: Field['octets'], print: Field['print'], parseWord: (word: string) => string | null): Field {
  return {
    octets,
    print,
    parse(words) {
      const word = words.shift();
      return word === undefined ? null : parseWord(word);
    },
  };
}

const fixed =
  (octets: number): Field['octets'] =>
  () =>
    octets;

const toEnd: Field['octets'] = (_bytes, offset, end) => end - offset;

const counted: Field['octets'] = (bytes, offset, end) => (offset < end ? 1 + bytes[offset]! : -1);

const binary = (octets: ArrayLike<number>): string => Buffer.from(Uint8Array.from(octets)).toString('latin1');

const numbers = (values: readonly (number | null)[]): string | null =>
  values.includes(null) ? null : values.map((value) => numberOctets(String(value), 4)).join('');

export const u8: Field = single(
  fixed(1),
  (field) => String(field[0]),
  (word) => numberOctets(word, 1),
);

export const u16: Field = single(
  fixed(2),
  (field) => String(readUint16(field, 0)),
  (word) => numberOctets(word, 2),
);

export const u32: Field = single(
  fixed(4),
  (field) => String(readUint32(field, 0)),
  (word) => numberOctets(word, 4),
);

export const ipv4: Field = single(
  fixed(4),
  (field) => formatIpv4(readUint32(field, 0)),
  (word) => numbers([parseIpv4(word)]),
);

export const ipv6: Field = single(
  fixed(16),
  (field) => formatIpv6([0, 4, 8, 12].map((word) => readUint32(field, word))),
  (word) => numbers([...(parseIpv6(word) ?? [null])]),
);

const printName = (field: Uint8Array): string | null =>
  nameOctets(field, 0) === field.length ? nameText(field) : null;

const parseNameWord = (word: string): string | null => {
  const name = parseName(word);
  return name === null ? null : binary(name);
};

/** A name that messages may compress (RFC 3597 §4). */
export const name: Field = single((bytes, offset) => skipName(bytes, offset) - offset, printName, parseNameWord);

/** A name that is never compressed (RFC 9460 §2.2). */
export const plainName: Field = single((bytes, offset) => nameOctets(bytes, offset), printName, parseNameWord);

export const string: Field = single(
  counted,
  (field) => quote(binary(field.subarray(1))),
  (word) => {
    const octets = unquote(word);
    return octets === null ? null : characterString(octets);
  },
);

/** One or more strings to the end.  From text, one too long is cut to as many as it needs. */
export const strings: Field = {
  octets: toEnd,
  print(field) {
    const parts: string[] = [];
    for (let at = 0; at < field.length; at += 1 + field[at]!) {
      if (at + 1 + field[at]! > field.length) return null;
      parts.push(quote(binary(field.subarray(at + 1, at + 1 + field[at]!))));
    }
    return parts.length > 0 ? parts.join(' ') : null;
  },
  parse(words) {
    const parts = words.splice(0).map((word) => unquote(word));
    return parts.includes(null) ? null : parts.map((part) => characterStrings(part ?? '')).join('');
  },
};

/** The property of a CAA record (RFC 8659 §4.1). */
export const tag: Field = single(
  counted,
  (field) => (/^[A-Za-z0-9]+$/.test(binary(field.subarray(1))) ? binary(field.subarray(1)) : null),
  (word) => (/^[A-Za-z0-9]{1,15}$/.test(word) ? characterString(word) : null),
);

/** Octets to the end, without a length of their own. */
export const text: Field = single(toEnd, (field) => quote(binary(field)), unquote);

/** Service parameters to the end (dns-svcb.ts). */
export const parameters: Field = {
  octets: toEnd,
  print: (field) => parametersText(binary(field)),
  parse: (words) => parseParameters(words.splice(0)),
};
