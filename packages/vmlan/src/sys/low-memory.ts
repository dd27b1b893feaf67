/**
 * The arena's memory: one anonymous mapping, placed as low as the platform allows, seen as an ArrayBuffer.
 *
 * Zone: control (once at start-up).  An address below 2^31 is a small integer to the JavaScript engine, so `base + off`
 * costs nothing to pass; x86-64 has MAP_32BIT for that (man 2 mmap), elsewhere free space below 4 GiB is probed, and
 * only when there is none do addresses become doubles (exact below 2^53).  The mapping lives as long as the process, unless
 * it is given back by the thread that is about to end.
 *
 * WebAssembly sees nothing but its own memory, and where that lies is the JavaScript engine's choice, far above 4 GiB.  So
 * the arena's pages are shared ones, and a second mapping of them takes the place of such a memory (man 2 mremap).
 */
import type * as Koffi from 'koffi';
import { VmlanError } from '../core/errors.ts';

const PROT_READ_WRITE = 3;
const MAP_SHARED_ANONYMOUS_NORESERVE = 0x01 | 0x20 | 0x4000;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
const MAP_FIXED = 0x10;
const MAP_32BIT = 0x40;
const MAP_FIXED_NOREPLACE = 0x100000;
const FIRST_HINT = 0x1000_0000; // 256 MiB: above anything a non-PIE executable maps
const HINT_STEP = 0x0800_0000; // 128 MiB
const LOW_END = 2 ** 32;
const MREMAP_MAYMOVE_FIXED = 0x1 | 0x2;
const WASM_PAGE = 65_536; // bytes
const ADDRESS_END = 2 ** 53; // beyond it a number is not exact; MAP_FAILED, (void *)-1, lies there too

export interface LowMemory {
  readonly buffer: ArrayBuffer;
  /** Address of the first byte. */
  readonly base: number;
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** The part of WebAssembly's interface that is used; the library for Node has no types for it. */
interface WasmGlobal {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => WasmMemory;
}

type Mremap = (from: number, oldBytes: number, bytes: number, flags: number, to: bigint) => number | bigint;
type Mmap = (addr: number, bytes: number, prot: number, flags: number, fd: number, offset: number) => number | bigint;

/** Throws VmlanError `exhausted` when the system gives no mapping of `bytes`. */
export function mapLowMemory(koffi: typeof Koffi, bytes: number): LowMemory {
  const mmap = bindMmap(koffi);
  const munmap = bindMunmap(koffi);
  const place = (hint: number, flags: number): number =>
    Number(mmap(hint, bytes, PROT_READ_WRITE, MAP_SHARED_ANONYMOUS_NORESERVE | flags, -1, 0));

  let base = process.arch === 'x64' ? place(0, MAP_32BIT) : ADDRESS_END;
  for (let hint = FIRST_HINT; base >= ADDRESS_END && hint + bytes <= LOW_END; hint += HINT_STEP) {
    const got = place(hint, MAP_FIXED_NOREPLACE);
    // Linux before 4.17 takes the flag for a mere hint and may answer with another place.
    if (got < ADDRESS_END && got + bytes > LOW_END) munmap(got, bytes);
    else base = got;
  }
  if (base >= ADDRESS_END) base = place(0, 0);
  if (base >= ADDRESS_END) {
    throw new VmlanError('exhausted', `cannot map ${bytes} bytes of memory for packets`, {
      hint: 'check the address-space limit: ulimit -v',
    });
  }
  return { buffer: koffi.view(BigInt(base), bytes), base };
}

/** Gives the mapping back. Whoever touches its buffer afterwards ends the process. */
export function unmapLowMemory(koffi: typeof Koffi, base: number, bytes: number): void {
  bindMunmap(koffi)(base, bytes);
}

function bindMunmap(koffi: typeof Koffi): (addr: number, bytes: number) => number {
  return koffi.load(null).func('munmap', 'int', ['uint64', 'uint64']);
}

function bindMmap(koffi: typeof Koffi): Mmap {
  return koffi.load(null).func('mmap', 'uint64', ['uint64', 'uint64', 'int', 'int', 'int', 'int64']);
}

/**
 * A WebAssembly.Memory whose pages are those of `memory`, at the same offsets, or null: whoever uses it can do without.
 * The JavaScript engine unmaps its range when the thread ends, which leaves the first mapping as it is.
 */
export function shareWithWasm(koffi: typeof Koffi, memory: LowMemory): object | null {
  const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly?: WasmGlobal };
  const bytes = memory.buffer.byteLength;
  if (wasm === undefined || bytes % WASM_PAGE !== 0) return null;
  try {
    const pages = bytes / WASM_PAGE;
    const shared = new wasm.Memory({ initial: pages, maximum: pages });
    const mremap: Mremap = koffi.load(null).func('mremap', 'uint64', ['uint64', 'uint64', 'uint64', 'int', 'uint64']);
    // A size of zero: shared pages are mapped a second time, not moved.
    const to = koffi.address(shared.buffer);
    if (BigInt(mremap(memory.base, 0, bytes, MREMAP_MAYMOVE_FIXED, to)) === to) return shared;
    // What was there is gone; whoever unmaps the range must not find a stranger in it.
    bindMmap(koffi)(Number(to), bytes, 0, MAP_PRIVATE_ANONYMOUS_NORESERVE | MAP_FIXED, -1, 0);
    return null;
  } catch {
    return null; // no address space for it
  }
}
