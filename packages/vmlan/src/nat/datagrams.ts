/**
 * Host sockets for datagrams as nat needs them; `engine` plugs system calls in.
 *
 * Zone: packet for send and receive, flow for the rest.  Results below zero are `-errno`.  Addresses are mapped words.
 */

/** One entry of a socket's error queue: an ICMP error that came for something the guest sent. */
export interface SocketError {
  errno: number;
  /** True when it came in an ICMP message, with `type` and `code`; else the host itself refused. */
  icmp: boolean;
  type: number;
  code: number;
  /** Next-hop MTU of "fragmentation needed" and "packet too big". */
  info: number;
  /** Who sent the ICMP message, mapped words; all zero when unknown. */
  readonly offender: Int32Array;
  /** Start of what the guest had sent, as the kernel gives it back. */
  payload: number;
  payloadLen: number;
}

/** Hears about one socket. */
export interface DatagramListener {
  onReadable(nowMs: number): void;
  /** The error queue has something, or the socket an error. */
  onError(nowMs: number): void;
}

export interface DatagramSockets {
  /** UDP socket connected to the target; `localPort` 0: any. */
  openUdp(w0: number, w1: number, w2: number, w3: number, port: number, localPort: number): number;
  /** Unprivileged ICMP echo socket connected to the target. */
  openEcho(w0: number, w1: number, w2: number, w3: number): number;
  localPort(fd: number): number;
  watch(fd: number, listener: DatagramListener): number;
  setHopLimit(fd: number, family: number, hops: number): void;
  send(fd: number, off: number, len: number): number;
  recv(fd: number, off: number, len: number): number;
  /** Takes one entry of the error queue into `error`; false when it is empty. */
  takeError(fd: number, error: SocketError): boolean;
  /** Forgets the watch and closes. */
  close(fd: number, token: number): void;
}

export function newSocketError(): SocketError {
  return {
    errno: 0,
    icmp: false,
    type: 0,
    code: 0,
    info: 0,
    offender: new Int32Array(4),
    payload: 0,
    payloadLen: 0,
  };
}
