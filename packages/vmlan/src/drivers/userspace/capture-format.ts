/**
 * How a capture is written down: as pcapng, or as a JSON document a line for people and scripts.
 *
 * Zone: control.  Offloaded frames are written as they came by, with their real length, and their checksum may be left
 * to the card: docs/capture.md.
 */
import { arch, release, type } from 'node:os';
import type { CaptureTotals } from '../../engine/control-messages.ts';
import type { CapturedLine } from '../../model/captures.ts';
import { parseIpv4, parseIpv6, parseMac } from '../../wire/address.ts';
import type { CardDescription } from '../../wire/captured-frame.ts';
import * as captured from '../../wire/captured-frame.ts';
import * as pcapng from '../../wire/pcapng.ts';
import { printFrame } from '../../wire/print.ts';

/** A guest's name and one of its addresses. */
export interface KnownName {
  readonly address: string;
  readonly name: string;
}

export interface CaptureFormat {
  begin(): Uint8Array;
  names(records: readonly KnownName[]): Uint8Array;
  card(id: number, card: CardDescription): Uint8Array;
  /** A record of the ring at `o`; `reason` is why it was dropped. */
  frame(view: DataView, u8: Uint8Array, o: number, reason: string | null): Uint8Array;
  end(totals: CaptureTotals, delivered: readonly number[], nowUs: number): Uint8Array;
}

export interface FormatOptions {
  readonly network: string;
  readonly filter: string;
  readonly snapLen: number;
  readonly startUs: number;
}

const NOTHING = new Uint8Array(0);

export class PcapngFormat implements CaptureFormat {
  readonly #options: FormatOptions;

  constructor(options: FormatOptions) {
    this.#options = options;
  }

  begin(): Uint8Array {
    return pcapng.sectionHeader({ application: 'vmlan', hardware: arch(), os: `${type()} ${release()}` });
  }

  names(records: readonly KnownName[]): Uint8Array {
    const known = records.flatMap(({ address, name }) => {
      const bytes = addressBytes(address);
      return bytes === null ? [] : [{ address: bytes, name }];
    });
    return known.length === 0 ? NOTHING : pcapng.nameResolution(known);
  }

  card(_id: number, { nic, guest, mac }: CardDescription): Uint8Array {
    const { network, filter, snapLen } = this.#options;
    const words = mac === null ? null : parseMac(mac);
    return pcapng.interfaceDescription({
      name: nic === '' ? 'unknown' : nic,
      description: guest === '' ? `network ${network}` : `${guest} on network ${network}`,
      mac: words === null ? undefined : macBytes(words.hi, words.lo),
      filter: filter === '' ? undefined : filter,
      snapLen,
    });
  }

  frame(view: DataView, u8: Uint8Array, o: number, reason: string | null): Uint8Array {
    const data = o + captured.HEADER_LEN;
    return pcapng.enhancedPacket({
      interfaceId: captured.card(view, o),
      timestampUs: Math.floor(captured.timeUs(view, o)),
      data: u8.subarray(data, data + captured.kept(view, o)),
      originalLen: captured.length(view, o),
      direction: captured.isToGuest(view, o) ? 'outbound' : 'inbound',
      lost: captured.lost(view, o),
      comment: reason === null ? undefined : `dropped: ${reason}`,
    });
  }

  end(totals: CaptureTotals, delivered: readonly number[], nowUs: number): Uint8Array {
    const { startUs } = this.#options;
    const blocks = totals.map(({ card, received, accepted, lost }) =>
      pcapng.interfaceStatistics({
        ...{ interfaceId: card, startUs, endUs: nowUs },
        ...{ received, accepted, lost, delivered: delivered[card] ?? 0 },
      }),
    );
    return Buffer.concat(blocks);
  }
}

export class LinesFormat implements CaptureFormat {
  readonly #network: string;
  readonly #cards: CardDescription[] = [];

  constructor({ network }: FormatOptions) {
    this.#network = network;
  }

  begin(): Uint8Array {
    return NOTHING;
  }

  names(): Uint8Array {
    return NOTHING;
  }

  card(id: number, card: CardDescription): Uint8Array {
    this.#cards[id] = card;
    return NOTHING;
  }

  frame(view: DataView, _u8: Uint8Array, o: number, reason: string | null): Uint8Array {
    const { guest, nic } = this.#cards[captured.card(view, o)]!;
    const line: CapturedLine = {
      timeMs: captured.timeUs(view, o) / 1000,
      network: this.#network,
      guest,
      nic,
      direction: captured.isToGuest(view, o) ? 'outbound' : 'inbound',
      length: captured.length(view, o),
      lost: captured.lost(view, o),
      summary: summaryOf(view, o),
      dropped: reason,
    };
    return Buffer.from(`${JSON.stringify(line)}\n`);
  }

  end(): Uint8Array {
    return NOTHING;
  }
}

/** Checksums that are left to the card look wrong: that is not worth a remark here. */
function summaryOf(view: DataView, o: number): string {
  return printFrame(view, o + captured.HEADER_LEN, captured.kept(view, o)).replaceAll(' [bad-checksum]', '');
}

function addressBytes(text: string): Uint8Array | null {
  const four = parseIpv4(text);
  if (four !== null) return bytesOf([four]);
  const six = parseIpv6(text);
  return six === null ? null : bytesOf([...six]);
}

function bytesOf(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => view.setUint32(4 * i, word));
  return bytes;
}

function macBytes(hi: number, lo: number): Uint8Array {
  const bytes = new Uint8Array(6);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, hi);
  view.setUint32(2, lo);
  return bytes;
}
