/**
 * The envelope of state files: `{"version":2,"checksum":"…","data":…}`.
 *
 * Zone: control.  The checksum (CRC-32 of version and data) tells a file that was written whole from one that the disk,
 * a crash or a hand has changed, were it by a single bit.  The envelope is the same in all versions to come, so that a
 * file of a newer vmlan is known for what it is and left alone.  Version 1 had no checksum.
 */
import { crc32 } from 'node:zlib';
import { VmlanError } from '../core/errors.ts';

/** What makes data of version N data of version N + 1, by N. */
export type Migrations = Readonly<Record<number, (data: unknown) => unknown>>;

export interface StateFormat<T> {
  readonly version: number;
  readonly migrations: Migrations;
  /** Throws on what is no such data. */
  readonly parse: (data: unknown) => T;
}

const UNSEALED_VERSION = 1;

/** `json` as JSON.stringify writes it, without blanks. */
export function seal(version: number, json: string): string {
  return `{"version":${version},"checksum":"${checksumOf(version, json)}","data":${json}}\n`;
}

/** Throws an Error on what was damaged, and a VmlanError on what a newer vmlan wrote. */
export function unseal<T>(path: string, text: string, format: StateFormat<T>): T {
  const document: unknown = JSON.parse(text);
  if (typeof document !== 'object' || document === null) throw new Error('it is no state of vmlan');
  const { version, checksum, ...rest } = document as { version?: unknown; checksum?: unknown; data?: unknown };
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw new Error(`version ${JSON.stringify(version)} is unknown`);
  }
  // The first leases stood beside their version.
  let data = 'data' in rest || checksum !== undefined ? rest.data : rest;
  if (checksum === undefined ? version > UNSEALED_VERSION : checksum !== checksumOf(version, JSON.stringify(data))) {
    throw new Error('its checksum is wrong: something else than vmlan has changed it');
  }
  if (version > format.version) throw newerError(path, version, format.version);
  for (let from = version; from < format.version; from++) {
    const migrate = format.migrations[from];
    if (migrate === undefined) throw new Error(`version ${from} is unknown`);
    data = migrate(data);
  }
  return format.parse(data);
}

function newerError(path: string, version: number, known: number): VmlanError {
  return new VmlanError(
    'unsupported',
    `${path} was written by a newer vmlan: its format has version ${version}, and this vmlan knows ${known}`,
    { hint: 'start the newer vmlan again; or move the file away, and go on without what it holds' },
  );
}

const checksumOf = (version: number, json: string): string =>
  crc32(`${version}\n${json}`).toString(16).padStart(8, '0');
