/**
 * The text of records in zone-file form: tokens, quoted strings, escapes (RFC 1035 §5.1, RFC 9460 appendix A).
 *
 * Zone: control.  Octets travel as *binary strings*, one character per octet, until they are joined to RDATA.
 */

const MAX_STRING_OCTETS = 255;

/** Splits at white space outside of quotes; quotes stay in their token.  Null if a quote or escape is left open. */
export function tokens(text: string): string[] | null {
  const found = text.match(/(?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*")+/gs) ?? [];
  const taken = found.reduce((sum, token) => sum + token.length, 0);
  const wanted = text.replaceAll(/(?:[^\s"\\]|\\.|"(?:[^"\\]|\\.)*")+/gs, '').trim();
  return taken > 0 && wanted === '' ? found : null;
}

/** The octets that a token means: quotes taken off, \DDD and \X resolved, other characters in UTF-8. */
export function unquote(token: string): string | null {
  const inner = /^".*"$/s.test(token) ? token.slice(1, -1) : token;
  let octets = '';
  for (const [, decimal, escaped, plain] of inner.matchAll(/\\(?:(\d{3})|(\D))|([^\\]+)|\\/gs)) {
    if (decimal !== undefined && Number(decimal) <= 0xff) octets += String.fromCharCode(Number(decimal));
    else if (escaped !== undefined || plain !== undefined) octets += utf8(escaped ?? plain ?? '');
    else return null;
  }
  return octets;
}

function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The quoted text of octets. */
export function quote(octets: string): string {
  return `"${escapeOctets(octets)}"`;
}

/** Octets in a form that `unquote` takes back between quotes. */
export function escapeOctets(octets: string): string {
  return octets.replaceAll(/["\\]|[^ -~]/g, (octet) =>
    octet === '"' || octet === '\\' ? `\\${octet}` : `\\${octet.charCodeAt(0).toString().padStart(3, '0')}`,
  );
}

/** A character string: length octet and at most 255 octets (RFC 1035 §3.3). */
export function characterString(octets: string): string | null {
  return octets.length <= MAX_STRING_OCTETS ? String.fromCharCode(octets.length) + octets : null;
}

/** As many character strings as a text needs, at least one. */
export function characterStrings(octets: string): string {
  const parts = octets.match(new RegExp(`.{1,${MAX_STRING_OCTETS}}`, 'gs')) ?? [''];
  return parts.map((part) => String.fromCharCode(part.length) + part).join('');
}

/** A decimal number of so many octets, most significant first. */
export function numberOctets(text: string, octets: 1 | 2 | 4): string | null {
  if (!/^\d{1,10}$/.test(text) || Number(text) >= 2 ** (8 * octets)) return null;
  const value = Number(text);
  const all = [24, 16, 8, 0].map((shift) => String.fromCharCode((value >>> shift) & 0xff)).join('');
  return all.slice(4 - octets);
}
