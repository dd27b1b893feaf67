/**
 * Service parameters of SVCB and HTTPS records: text to octets and back (RFC 9460 §2.1, §2.2, §7; RFC 9461 dohpath).
 *
 *   | KEY 16 | LENGTH 16 | VALUE … |  repeated, keys strictly ascending
 *
 * Zone: control.  Octets are binary strings (dns-text.ts).  Null = not valid.
 */
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './address.ts';
import { characterString, escapeOctets, numberOctets, unquote } from './dns-text.ts';

interface Parameter {
  readonly key: number;
  readonly value: string;
}

/** One kind of value: octets from unquoted text, and unquoted text from octets. */
interface ValueForm {
  parse(text: string): string | null;
  print(octets: string): string | null;
}

const MANDATORY = 0;
const KEY_NAMES = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint', 'dohpath', 'ohttp'];
/** The highest key; 65535 is reserved (RFC 9460 §14.3.2). */
const MAX_KEY = 65534;

const raw: ValueForm = { parse: (text) => text, print: (octets) => octets };

const empty: ValueForm = {
  parse: (text) => (text === '' ? '' : null),
  print: (octets) => (octets === '' ? '' : null),
};

const port: ValueForm = {
  parse: (text) => numberOctets(text, 2),
  print: (octets) => (octets.length === 2 ? String(uint16(octets, 0)) : null),
};

const base64: ValueForm = {
  parse: (text) => (/^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64').toString('latin1') : null),
  print: (octets) => Buffer.from(octets, 'latin1').toString('base64'),
};

const keyList: ValueForm = {
  parse(text) {
    const keys = text.split(',').map(keyNumber);
    return keys.includes(null) ? null : keys.map(Number).sort(byNumber).map(keyOctets).join('');
  },
  print: (octets) =>
    chunks(octets, 2)
      ?.map((two) => keyName(uint16(two, 0)))
      .join(',') ?? null,
};

/** Protocol ids; a comma or backslash inside one is escaped once more (RFC 9460 appendix A.1). */
const alpnList: ValueForm = {
  parse(text) {
    const ids = text.match(/(?:[^,\\]|\\.)+/gs) ?? [];
    const sound = ids.length > 0 && ids.join(',') === text;
    return sound ? joinAll(ids.map((id) => characterString(id.replaceAll(/\\(.)/gs, '$1')))) : null;
  },
  print(octets) {
    const ids: string[] = [];
    for (let at = 0; at < octets.length; at += 1 + octets.charCodeAt(at)) {
      const id = octets.slice(at + 1, at + 1 + octets.charCodeAt(at));
      if (id === '' || id.length !== octets.charCodeAt(at)) return null;
      ids.push(id.replaceAll(/[,\\]/g, String.raw`\$&`));
    }
    return ids.length > 0 ? ids.join(',') : null;
  },
};

const ipv4List: ValueForm = {
  parse: (text) =>
    joinAll(
      text
        .split(',')
        .map(parseIpv4)
        .map((ip) => (ip !== null ? numberOctets(String(ip), 4) : null)),
    ),
  print: (octets) =>
    chunks(octets, 4)
      ?.map((four) => formatIpv4(uint32(four, 0)))
      .join(',') ?? null,
};

const ipv6List: ValueForm = {
  parse: (text) => joinAll(text.split(',').map(parseIpv6).map(wordsOctets)),
  print: (octets) =>
    chunks(octets, 16)
      ?.map((all) => formatIpv6([0, 4, 8, 12].map((at) => uint32(all, at))))
      .join(',') ?? null,
};

const FORMS: readonly ValueForm[] = [keyList, alpnList, empty, port, ipv4List, base64, ipv6List, raw, empty];

/** `alpn=h2,h3 port=8443 …`, one token each, in any order. */
export function parseParameters(tokens: readonly string[]): string | null {
  const parameters: Parameter[] = [];
  for (const token of tokens) {
    const parameter = parseParameter(token);
    if (parameter === null) return null;
    parameters.push(parameter);
  }
  parameters.sort((a, b) => a.key - b.key);
  return isConsistent(parameters) ? parameters.map(parameterOctets).join('') : null;
}

function parseParameter(token: string): Parameter | null {
  const [, name = '', given = ''] = /^([a-z0-9-]+)(?:=(.*))?$/s.exec(token) ?? [];
  const key = keyNumber(name);
  const text = unquote(given);
  const value = key === null || text === null ? null : formOf(key).parse(text);
  return key === null || value === null || value.length > 0xffff ? null : { key, value };
}

/** Keys only once, and those called mandatory are there (RFC 9460 §2.2, §8). */
function isConsistent(parameters: readonly Parameter[]): boolean {
  const keys = parameters.map(({ key }) => key);
  const mandatory = parameters[0]?.key === MANDATORY ? (chunks(parameters[0].value, 2) ?? []) : [];
  const needed = mandatory.map((two) => uint16(two, 0));
  const distinct = (list: readonly number[]): boolean => new Set(list).size === list.length;
  return distinct(keys) && distinct(needed) && needed.every((key) => key !== MANDATORY && keys.includes(key));
}

function parameterOctets({ key, value }: Parameter): string {
  return `${keyOctets(key)}${numberOctets(String(value.length), 2)}${value}`;
}

/** The text of parameters; null if they are malformed. */
export function parametersText(octets: string): string | null {
  const parts: string[] = [];
  let before = -1;
  for (let at = 0; at < octets.length;) {
    if (at + 4 > octets.length) return null;
    const key = uint16(octets, at);
    const end = at + 4 + uint16(octets, at + 2);
    const text = end > octets.length || key <= before ? null : formOf(key).print(octets.slice(at + 4, end));
    if (text === null) return null;
    parts.push(text === '' ? keyName(key) : `${keyName(key)}="${escapeOctets(text)}"`);
    before = key;
    at = end;
  }
  return parts.join(' ');
}

function formOf(key: number): ValueForm {
  return FORMS[key] ?? raw;
}

function keyName(key: number): string {
  return KEY_NAMES[key] ?? `key${key}`;
}

function keyNumber(name: string): number | null {
  const known = KEY_NAMES.indexOf(name);
  if (known >= 0) return known;
  const number = /^key(?:0|[1-9]\d{0,4})$/.test(name) ? Number(name.slice(3)) : MAX_KEY + 1;
  return number <= MAX_KEY ? number : null;
}

function keyOctets(key: number): string {
  return String.fromCharCode(key >>> 8, key & 0xff);
}

const byNumber = (a: number, b: number): number => a - b;

function wordsOctets(words: Uint32Array | null): string | null {
  return words === null ? null : joinAll([...words].map((word) => numberOctets(String(word), 4)));
}

function joinAll(parts: readonly (string | null)[]): string | null {
  return parts.includes(null) ? null : parts.join('');
}

/** Equal parts of a value, at least one; null if it does not divide. */
function chunks(octets: string, size: number): string[] | null {
  if (octets === '' || octets.length % size !== 0) return null;
  return octets.match(new RegExp(`.{${size}}`, 'gs'));
}

function uint16(octets: string, at: number): number {
  return octets.charCodeAt(at) * 256 + octets.charCodeAt(at + 1);
}

function uint32(octets: string, at: number): number {
  return uint16(octets, at) * 65536 + uint16(octets, at + 2);
}
