/**
 * What `import … from 'vmlan'` gives: networks inside a process.
 *
 * Zone: control.
 */
export { VmlanError } from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export type { GuestSnapshot } from './engine/control-messages.ts';
export { Network } from './library/network.ts';
export type { NetworkStats } from './library/network.ts';
export type { NetworkOptions } from './library/options.ts';
export type { Guest, GuestOptions } from './library/guest.ts';
export type { NicOptions } from './library/guest-names.ts';
export type { NamespaceAttachment, NamespaceOptions, QemuAttachment } from './library/machines.ts';
export type { Forward, ForwardOptions } from './library/forwards.ts';
export type { DnsRecordOptions, Records } from './library/records.ts';
export type { Lease } from './library/leases.ts';
export type { NetworkEvent, NetworkEventOf, NetworkEventType } from './library/events.ts';
