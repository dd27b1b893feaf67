/**
 * The name that a guest gives itself: DHCP options 12 (RFC 2132 §3.14) and 81 (RFC 4702), DHCPv6 option 39 (RFC 4704).
 * Zone: flow. The text is hostile: only a plain host label (RFC 1123 §2.1) ever leaves this file.
 */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_LABEL_BYTES = 63;
const DOT = 0x2e;
const FQDN_HEADER_BYTES = 3; // flags, two obsolete response codes
const FQDN_ENCODED = 0x04; // E: RFC 1035 wire format instead of ASCII
const FQDN6_HEADER_BYTES = 1;

/** `name` in lower case when it is a host label, else null. */
export function hostLabel(name: string): string | null {
  const lower = name.toLowerCase();
  return LABEL.test(lower) ? lower : null;
}

function labelOf(bytes: Uint8Array): string | null {
  return bytes.length > MAX_LABEL_BYTES ? null : hostLabel(String.fromCharCode(...bytes));
}

/** The first label of a name in ASCII; some clients end it with zeros. */
function fromText(bytes: Uint8Array): string | null {
  const end = bytes.findIndex((byte) => byte === DOT || byte === 0);
  return labelOf(end < 0 ? bytes : bytes.subarray(0, end));
}

/** The first label of a name in wire format, complete or partial. */
function fromWire(bytes: Uint8Array): string | null {
  const len = bytes[0] ?? 0;
  return len > bytes.length - 1 ? null : labelOf(bytes.subarray(1, 1 + len));
}

/** The guest's own name by options 12 and 81; a usable full name (81) is preferred (RFC 4702 §3.1). */
export function hostname4(host: Uint8Array | undefined, fqdn: Uint8Array | undefined): string | null {
  const flags = fqdn?.[0] ?? 0;
  const name = fqdn?.subarray(FQDN_HEADER_BYTES) ?? new Uint8Array(0);
  const full = (flags & FQDN_ENCODED) === 0 ? fromText(name) : fromWire(name);
  return full ?? (host === undefined ? null : fromText(host));
}

/** The guest's own name by DHCPv6 option 39. */
export function hostname6(fqdn: Uint8Array | null): string | null {
  return fqdn === null ? null : fromWire(fqdn.subarray(FQDN6_HEADER_BYTES));
}
