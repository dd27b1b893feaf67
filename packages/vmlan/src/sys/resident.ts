/**
 * Gives back the pages of programs and libraries that only start-up has touched.
 *
 * Zone: control.  Reading a program's file maps 64 KiB around each byte that is touched, and starting touches most of it
 * once.  Pages of a file that nobody has written to are dropped without loss (man 2 madvise, MADV_DONTNEED): what is used
 * again comes back from the page cache, at less than a microsecond a fault.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';

const MADV_DONTNEED = 4;
const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (r-[x-]p) [0-9a-f]+ \S+ \d+ +(\/.*)$/;

export interface Mapping {
  readonly address: number;
  readonly bytes: number;
}

/** The mappings of files, in the text of /proc/PID/smaps, that are private, read-only, and as the file has them. */
export function cleanFileMappings(smaps: string): Mapping[] {
  const found: Mapping[] = [];
  let mapping: Mapping | null = null;
  for (const line of smaps.split('\n')) {
    const [, from, to, , path] = MAPPING.exec(line) ?? [];
    if (from !== undefined && to !== undefined && path !== undefined) {
      mapping = { address: parseInt(from, 16), bytes: parseInt(to, 16) - parseInt(from, 16) };
    } else if (/^[0-9a-f]+-/.test(line)) {
      mapping = null;
    } else if (mapping !== null && /^Anonymous: +0 kB$/.test(line)) {
      found.push(mapping);
      mapping = null;
    }
  }
  return found;
}

/** Best effort: a kernel that refuses leaves things as they are. */
export function releaseProgramPages(): void {
  let smaps: string;
  try {
    smaps = readFileSync('/proc/self/smaps', 'utf8');
  } catch {
    return; // not ours to read: the process may not be dumped
  }
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  const madvise = koffi.load(null).func('madvise', 'int', ['uint64', 'uint64', 'int']) as unknown as Madvise;
  for (const { address, bytes } of cleanFileMappings(smaps)) madvise(address, bytes, MADV_DONTNEED);
}

type Madvise = (address: number, bytes: number, advice: number) => number;
