/**
 * The host's answer when nothing more can be opened (errno(3)): it passes, so it is silence towards guests, and a wait
 * for clients of forwards.
 *
 * Zone: packet.
 */
const ENFILE = -23;
const EMFILE = -24;

/** `result` is a descriptor or `-errno`. */
export const isNoDescriptor = (result: number): boolean => result === EMFILE || result === ENFILE;
