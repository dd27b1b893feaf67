/**
 * What `import … from 'vmlan'` gives: networks inside a process.
 *
 * Zone: control.
 */
export { VmlanError } from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export type { GuestSnapshot } from './engine/control-messages.ts';
export type { DnsAnswer, DnsAnswerRecord } from './guest/dns-client.ts';
export { GuestError } from './guest/errors.ts';
export type { GuestErrorCode } from './guest/errors.ts';
export type { HttpHandler, HttpServer } from './guest/http/server.ts';
export type { StaticAddress } from './guest/stack.ts';
export type { TcpSocket } from './guest/tcp/socket.ts';
export type { ConnectOptions, TcpListener } from './guest/tcp/tcp.ts';
export type { UdpDatagram, UdpSocket } from './guest/udp.ts';
export { Network } from './library/network.ts';
export type { NetworkStats } from './library/network.ts';
export type { NetworkOptions } from './library/options.ts';
export type { Guest, GuestDns, GuestOptions, GuestTcp, GuestUdp } from './library/guest.ts';
export type { NicOptions } from './library/guest-names.ts';
export type { NamespaceAttachment, NamespaceOptions, QemuAttachment } from './library/machines.ts';
export type { Forward, ForwardOptions } from './library/forwards.ts';
export type { DnsRecordOptions, Records } from './library/records.ts';
export type { Lease } from './library/leases.ts';
export type { NetworkEvent, NetworkEventOf, NetworkEventType } from './library/events.ts';
