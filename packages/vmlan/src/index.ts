/**
 * What `import … from 'vmlan'` gives: networks inside a process. docs/library.md has it in this order.
 *
 * Zone: control.
 */
export { Network } from './library/network.ts';
export type { NetworkOptions } from './library/options.ts';
export type { Mode } from './model/network.ts';
export type { Guest, GuestOptions } from './library/guest.ts';
export type { NicOptions } from './library/guest-names.ts';
export type { StaticAddress } from './guest/stack.ts';
export type { GuestTcp } from './library/guest.ts';
export type { ConnectOptions, TcpListener } from './guest/tcp/tcp.ts';
export type { TcpSocket } from './guest/tcp/socket.ts';
export type { TcpState } from './guest/tcp/connection.ts';
export type { GuestUdp } from './library/guest.ts';
export type { UdpDatagram, UdpSocket } from './guest/udp.ts';
export type { GuestDns } from './library/guest.ts';
export type { DnsAnswer, DnsAnswerRecord } from './guest/dns-client.ts';
export type { HttpHandler, HttpServer } from './guest/http/server.ts';
export type { Forward, ForwardOptions } from './library/forwards.ts';
export type { DnsRecordOptions, Records } from './library/records.ts';
export type { RecordEntry } from './model/network.ts';
export type { GuestNames, Shape, ShapeOptions } from './library/shapes.ts';
export type { Distribution, ShapeDirection, ShapeSettings } from './model/shape.ts';
export type { Lease } from './library/leases.ts';
export type { ForwardStats, NetworkStats } from './library/stats.ts';
export type { NetworkEvent, NetworkEventOf, NetworkEventType } from './library/events.ts';
export type { GuestSnapshot } from './engine/control-messages.ts';
export type { NamespaceAttachment, NamespaceOptions, QemuAttachment } from './library/machines.ts';
export { GuestError } from './guest/errors.ts';
export type { GuestErrorCode } from './guest/errors.ts';
export { VmlanError } from './core/errors.ts';
export type { ErrorCode, ErrorCodeInfo } from './core/errors.ts';
