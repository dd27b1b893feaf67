/**
 * Lists of domain names as options carry them: DHCP option 119 (RFC 3397, compressed), DHCPv6 option 24 and
 * the DNSSL option of RAs (RFC 8415 §10, RFC 8106 §5.2: never compressed).
 * Zone: control. Names are configuration; one that does not fit RFC 1035 §2.3.4 is left out, never an error.
 */
const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255; // encoded, with length bytes and root
const MAX_POINTER_OFFSET = 0x3fff; // 14 bits, RFC 1035 §4.1.4

/** The labels of `name` in lower case, or null where it cannot be encoded. A trailing dot is allowed. */
export function splitDomainName(name: string): string[] | null {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.');
  const bytes = labels.reduce((sum, label) => sum + label.length + 1, 1);
  const sound = labels.every((label) => label.length <= MAX_LABEL_BYTES && /^[a-z0-9_-]+$/.test(label));
  return sound && bytes <= MAX_NAME_BYTES ? labels : null;
}

function pushLabel(out: number[], label: string): void {
  out.push(label.length);
  for (let i = 0; i < label.length; i++) out.push(label.charCodeAt(i));
}

function pushCompressed(out: number[], labels: readonly string[], offsets: Map<string, number>): void {
  for (let i = 0; i < labels.length; i++) {
    const suffix = labels.slice(i).join('.');
    const known = offsets.get(suffix);
    if (known !== undefined) {
      out.push(0xc0 | (known >> 8), known & 0xff);
      return;
    }
    if (out.length <= MAX_POINTER_OFFSET) offsets.set(suffix, out.length);
    pushLabel(out, labels[i] ?? '');
  }
  out.push(0);
}

/** RFC 1035 wire format, one name after the other; `compress` lets later names point into earlier ones. */
export function encodeDomainList(names: readonly string[], compress: boolean): Uint8Array {
  const out: number[] = [];
  const offsets = new Map<string, number>();
  for (const name of names) {
    const labels = splitDomainName(name);
    if (labels === null) continue;
    if (!compress) offsets.clear();
    pushCompressed(out, labels, offsets);
  }
  return Uint8Array.from(out);
}
