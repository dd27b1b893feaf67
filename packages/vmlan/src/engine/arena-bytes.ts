/**
 * How much address space the engine's buffers have: enough for every pool at its bound, so that none of them ever asks
 * for what is not there.
 *
 * Zone: control.  Bytes; whole pages of WebAssembly.  A page is used once it is touched.
 */
export const ARENA_BYTES: number = 640 * 1024 * 1024;
