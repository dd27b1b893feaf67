/**
 * A TCP socket of the fake kernel, as a program sees it (man 7 tcp, RFC 9293 §3.3.2 for the states).
 *
 * Zone: control.  There are no segments: each direction is the sender's buffer, an amount in flight, and the receiver's
 * buffer, with a delay between them.  With delay 0 everything happens inside the call, as on Linux's loopback.
 *
 *   send -> #unsent/in flight (snd, SO_SNDBUF) --delay--> rcv (SO_RCVBUF) -> receive
 *
 * The two halves of a connection are two of these objects that know each other as `#peer`.  A descriptor's close
 * leaves the object behind as an orphan until its data and FIN are delivered.
 */
import * as c from '../constants.ts';
import { type Endpoint, formatEndpoint, type SocketName } from './address.ts';
import { ByteQueue } from './byte-queue.ts';
import { InetSocket } from './inet-socket.ts';
import type { Network } from './network.ts';
import type { PortTable } from './port-table.ts';
import type { Scheduled } from './timeline.ts';

const CLOSED = 'closed';
const LISTENING = 'listening';
const SYN_SENT = 'syn-sent';
const SYN_RECEIVED = 'syn-received';
const ESTABLISHED = 'established'; // and every state after it until both FINs are through
type State = typeof CLOSED | typeof LISTENING | typeof SYN_SENT | typeof SYN_RECEIVED | typeof ESTABLISHED;

const RECEIVE = 1; // bits of #shut, as SHUT_RD + 1 and SHUT_WR + 1
const SEND = 2;
const BACKLOG_MAX = 4096; // net.core.somaxconn
const FIRST_SYN_RETRY_MS = 1000; // RFC 6298 §2, doubled each time
const SYN_TIMEOUT_MS = 127_000; // net.ipv4.tcp_syn_retries = 6
const TCP_INFO_SIZE = 104; // bytes

export class TcpSocket extends InetSocket {
  #state: State = CLOSED;
  #connecting = false;
  #shut = 0;
  #peer: TcpSocket | undefined;
  readonly #snd: ByteQueue;
  readonly #rcv: ByteQueue;
  /** Belongs to a scripted host, whose ports are not in this host's table. */
  readonly #isScripted: boolean;
  #inFlight = 0; // bytes of #snd that are on their way
  #finQueued = false;
  #finSent = false;
  #finAcked = false;
  #finReceived = false;
  #noSpace = false; // someone waits for EPOLLOUT
  #orphan = false;
  #peekOffset = -1;
  #delayMs = 0;
  #hasPort = false;
  #backlog = 0;
  #acceptable: TcpSocket[] = [];
  #synTimer: Scheduled | undefined;

  constructor(network: Network, domain: number, isScripted = false) {
    super(network, domain, c.SOCK_STREAM);
    this.#isScripted = isScripted;
    this.#snd = new ByteQueue(this.sendBuffer);
    this.#rcv = new ByteQueue(this.receiveBuffer);
  }

  get sharesPort(): boolean {
    return this.#state !== LISTENING;
  }

  protected ports(): PortTable<InetSocket> {
    return this.network.tcpPorts;
  }

  protected override onOption(level: number, name: number, value: number): void {
    if (level !== c.SOL_SOCKET) return;
    if (name === c.SO_PEEK_OFF) this.#peekOffset = value;
    else if (name === c.SO_SNDBUF) this.#snd.capacity = value;
    else if (name === c.SO_RCVBUF) this.#rcv.capacity = value;
  }

  override getOption(level: number, name: number): number {
    if (level === c.SOL_SOCKET && name === c.SO_PEEK_OFF) return this.#peekOffset;
    if (level === c.SOL_SOCKET && name === c.SO_ACCEPTCONN) return this.#state === LISTENING ? 1 : 0;
    return super.getOption(level, name);
  }

  override getOptionBytes(level: number, name: number): Uint8Array | number {
    if (level !== c.IPPROTO_TCP || name !== c.TCP_INFO) return -c.ENOPROTOOPT;
    const info = new Uint8Array(TCP_INFO_SIZE);
    info[0] = this.#linuxState();
    return info;
  }

  /** The state by its number in include/net/tcp_states.h. */
  #linuxState(): number {
    if (this.#state !== ESTABLISHED) return { closed: 7, listening: 10, 'syn-sent': 2, 'syn-received': 3 }[this.#state];
    if (!this.#finQueued) return this.#finReceived ? 8 : 1;
    if (this.#finReceived) return 9;
    return this.#finAcked ? 5 : 4;
  }

  // Opening

  connect(name: SocketName): number {
    if (this.#connecting) return this.#connectAgain();
    if (this.#state !== CLOSED) return -c.EISCONN;
    const to = this.destination(name);
    if (typeof to === 'number') return to;
    const prepared = this.prepareFor(to.ip);
    if (prepared < 0) return prepared;
    this.open(to);
    return -c.EINPROGRESS;
  }

  /** Sends the SYN; the local address is set. */
  open(to: Endpoint): void {
    this.remote = to;
    this.#shut = 0;
    this.#state = SYN_SENT;
    this.#connecting = true;
    this.#sendSyn(FIRST_SYN_RETRY_MS, this.network.timeline.now + SYN_TIMEOUT_MS);
  }

  #connectAgain(): number {
    if (this.#state === SYN_SENT) return -c.EALREADY;
    this.#connecting = false;
    if (this.#state === CLOSED) return -(this.takeError() || c.ECONNABORTED);
    return 0;
  }

  /** `giveUpAt` ends the attempts that nobody answers. */
  #sendSyn(retryMs: number, giveUpAt: number): void {
    const route = this.network.routeTcp(this.localIp, this.remote!);
    this.#delayMs = route.delayMs;
    const { now } = this.network.timeline;
    const retryAt = Math.min(now + retryMs, giveUpAt);
    this.#synTimer = this.network.timeline.at(retryAt, () => {
      if (retryAt === giveUpAt) this.#failConnect(c.ETIMEDOUT);
      else this.#sendSyn(2 * retryMs, giveUpAt);
    });
    if (route.listener !== undefined) {
      const { listener } = route;
      this.#later(() => listener.#onSyn(this));
    } else if (route.errno !== 0) {
      this.#later(() => this.#later(() => this.#failConnect(route.errno)));
    }
  }

  #later(action: () => void): void {
    if (this.#delayMs === 0) action();
    else this.network.timeline.after(this.#delayMs, action);
  }

  #failConnect(errno: number): void {
    if (this.#state !== SYN_SENT) return;
    this.#synTimer?.cancel();
    this.#state = CLOSED;
    this.#shut = RECEIVE | SEND;
    this.error = errno;
    this.wake();
  }

  #onSyn(client: TcpSocket): void {
    if (this.#state !== LISTENING) {
      client.#later(() => client.#failConnect(c.ECONNREFUSED));
      return;
    }
    if (this.#acceptable.length > this.#backlog) return; // dropped: the client tries again
    const child = new TcpSocket(this.network, this.domain);
    child.inheritOptions(this);
    child.#snd.capacity = this.sendBuffer;
    child.#rcv.capacity = this.receiveBuffer;
    child.#state = SYN_RECEIVED;
    child.#delayMs = client.#delayMs;
    child.localIp = client.remote!.ip;
    child.localPort = client.remote!.port;
    child.remote = { ip: client.localIp, port: client.localPort };
    child.#peer = client;
    client.#later(() => client.#onSynAck(child, this));
  }

  #onSynAck(child: TcpSocket, listener: TcpSocket): void {
    if (this.#state !== SYN_SENT) return;
    this.#synTimer?.cancel();
    this.#state = ESTABLISHED;
    this.#peer = child;
    this.wake();
    this.#later(() => child.#onEstablished(listener));
  }

  #onEstablished(listener: TcpSocket): void {
    if (this.#state !== SYN_RECEIVED) return;
    this.#state = ESTABLISHED;
    if (listener.#state !== LISTENING) {
      this.#abort();
      return;
    }
    if (!listener.#isScripted) this.ports().add(this);
    listener.#acceptable.push(this);
    listener.wake(c.EPOLLIN);
  }

  override listen(backlog: number): number {
    if (this.#connecting || (this.#state !== CLOSED && this.#state !== LISTENING) || this.#peer !== undefined) {
      return -c.EINVAL;
    }
    if (!this.#isScripted) {
      if (!this.#hasPort && this.claim(this.localIp, 0) < 0) return -c.EADDRINUSE;
      if (this.#state === CLOSED && this.ports().isServed(this)) return -c.EADDRINUSE;
      this.ports().receive(this);
    }
    this.#backlog = backlog < 0 ? BACKLOG_MAX : Math.min(backlog, BACKLOG_MAX);
    this.#shut = 0;
    this.#state = LISTENING;
    return 0;
  }

  override accept(): TcpSocket | number {
    if (this.#state !== LISTENING) return -c.EINVAL;
    return this.#acceptable.shift() ?? -c.EAGAIN;
  }

  #stopListening(): void {
    this.#state = CLOSED;
    this.#shut = 0;
    this.ports().stopReceiving(this);
    if (!this.hasChosenPort) this.#releasePort();
    for (const child of this.#acceptable) {
      child.#abort();
      child.ports().remove(child);
    }
    this.#acceptable = [];
  }

  /** A port that the kernel picked is given back, though still told: the next listen gets another one. */
  #releasePort(): void {
    this.ports().remove(this);
    this.#hasPort = false;
  }

  protected override onBound(): void {
    this.#hasPort = true;
  }

  // Data

  transmit(memory: Uint8Array, off: number, len: number, _flags: number, _to: SocketName | undefined): number {
    if (this.#state === SYN_SENT) return -(this.takeError() || c.EAGAIN);
    if (this.#state !== ESTABLISHED || this.error !== 0 || (this.#shut & SEND) !== 0) {
      return -(this.takeError() || c.EPIPE);
    }
    const count = this.#snd.push(memory, off, len);
    if (count < len) this.#noSpace = true;
    this.#push();
    return count === 0 && len > 0 ? -c.EAGAIN : count;
  }

  /** Sends what the peer has room for, then the FIN. */
  #push(): void {
    const peer = this.#peer;
    if (this.#state !== ESTABLISHED || peer === undefined) return;
    const room = peer.#orphan ? Infinity : peer.#rcv.free - this.#inFlight;
    const count = Math.min(this.#snd.length - this.#inFlight, room);
    if (count > 0) {
      this.#inFlight += count;
      this.#later(() => this.#deliver(count));
    }
    if (this.#finQueued && !this.#finSent && this.#snd.length === this.#inFlight) {
      this.#finSent = true;
      this.#later(() => this.#deliverFin());
    }
  }

  #deliver(count: number): void {
    const peer = this.#peer;
    if (peer === undefined || this.#inFlight < count) return; // lost in a reset
    this.#inFlight -= count;
    const refuses = peer.#orphan || (peer.#finQueued && (peer.#shut & RECEIVE) !== 0);
    if (refuses || peer.#state === CLOSED) {
      // RFC 1122 §4.2.2.13: data for an end that will not read any more is answered with a reset.
      this.#snd.drop(count);
      this.#later(() => this.#onReset());
      peer.#onReset();
      return;
    }
    peer.#rcv.moveFrom(this.#snd, count);
    peer.wake(c.EPOLLIN);
    this.#offerSpace();
  }

  #deliverFin(): void {
    const peer = this.#peer;
    if (peer !== undefined) peer.#onFin();
    this.#later(() => {
      this.#finAcked = true;
      this.wake();
      this.#settle();
    });
  }

  #onFin(): void {
    if (this.#state === CLOSED) return;
    this.#finReceived = true;
    this.#shut |= RECEIVE;
    this.wake();
    this.#settle();
  }

  /** Both FINs are through: the connection is over. */
  #settle(): void {
    if (!this.#finAcked || !this.#finReceived) return;
    this.#state = CLOSED;
    this.#shut = RECEIVE | SEND;
    this.#snd.clear();
    this.wake();
  }

  #offerSpace(): void {
    if (!this.#noSpace || !this.#isWritable()) return;
    this.#noSpace = false;
    this.wake(c.EPOLLOUT);
  }

  /** Linux reports EPOLLOUT when a third of the buffer is free. */
  #isWritable(): boolean {
    return this.#snd.capacity - this.#snd.length >= this.#snd.length >> 1;
  }

  receive(memory: Uint8Array, off: number, len: number, flags: number): number {
    if ((flags & c.MSG_ERRQUEUE) !== 0) return -c.EAGAIN;
    if ((flags & c.MSG_OOB) !== 0) return -c.EINVAL;
    if (this.#state === LISTENING) return -c.ENOTCONN;
    const isPeek = (flags & c.MSG_PEEK) !== 0;
    const skip = isPeek ? Math.max(this.#peekOffset, 0) : 0;
    const count = Math.min(len, Math.max(0, this.#rcv.length - skip));
    if (count === 0) return this.#receiveNothing();
    if ((flags & c.MSG_TRUNC) === 0) {
      if (off === 0) return -c.EFAULT;
      this.#rcv.copy(skip, memory, off, count);
    }
    if (isPeek) this.#movePeekOffset(count);
    else this.#consume(count);
    return count;
  }

  #movePeekOffset(by: number): void {
    if (this.#peekOffset >= 0) this.#peekOffset = Math.max(0, this.#peekOffset + by);
  }

  #consume(count: number): void {
    this.#rcv.drop(count);
    this.#movePeekOffset(-count);
    const peer = this.#peer;
    if (peer !== undefined) this.#later(() => peer.#push());
  }

  #receiveNothing(): number {
    if (this.#finReceived) return 0;
    if (this.error !== 0) return -this.takeError();
    if ((this.#shut & RECEIVE) !== 0) return 0;
    return this.#state === CLOSED ? -c.ENOTCONN : -c.EAGAIN;
  }

  override ioctl(view: DataView, request: number, argument: number, _value: number): number {
    if (request !== c.FIONREAD && request !== c.SIOCOUTQ) return -c.ENOTTY;
    if (this.#state === LISTENING) return -c.EINVAL;
    const unacknowledged = this.#snd.length + (this.#finQueued && !this.#finAcked ? 1 : 0);
    view.setInt32(argument, request === c.FIONREAD ? this.#rcv.length : unacknowledged, true);
    return 0;
  }

  // Closing

  shutdown(how: number): number {
    if (how < 0 || how > 2) return -c.EINVAL;
    const bits = how + 1;
    let result = 0;
    if (this.#connecting && this.#state === ESTABLISHED) this.#connecting = false;
    if (this.#state === LISTENING) {
      if ((bits & RECEIVE) !== 0) this.#stopListening();
    } else if (this.#state === SYN_SENT) {
      this.#synTimer?.cancel();
      this.#connecting = false;
      this.#state = CLOSED;
      this.error = c.ECONNRESET;
    } else {
      if (this.#state === CLOSED) result = -c.ENOTCONN;
      this.#shut |= bits;
      if ((bits & SEND) !== 0) this.#queueFin();
    }
    this.wake();
    return result;
  }

  #queueFin(): void {
    if (this.#state !== ESTABLISHED || this.#finQueued) return;
    this.#finQueued = true;
    this.#push();
  }

  /** Ends the connection with RST, the unsent data lost. */
  #abort(): void {
    const peer = this.#peer;
    const isOpen = this.#state === ESTABLISHED;
    this.#snd.truncate(this.#inFlight);
    this.#rcv.clear();
    this.#state = CLOSED;
    this.#shut = RECEIVE | SEND;
    if (isOpen && peer !== undefined) this.#later(() => peer.#onReset());
  }

  #onReset(): void {
    if (this.#state === CLOSED) return;
    // A connection whose other end had finished gives EPIPE, any other ECONNRESET.
    this.error = this.#finReceived && !this.#finQueued ? c.EPIPE : c.ECONNRESET;
    this.#state = CLOSED;
    this.#shut = RECEIVE | SEND;
    this.#snd.clear();
    this.#inFlight = 0;
    this.wake();
  }

  protected onClose(): void {
    this.#orphan = true;
    const isUnread = this.#rcv.length > 0;
    this.#rcv.clear();
    if (this.#state === LISTENING) this.#stopListening();
    else if (this.#state === SYN_SENT) {
      this.#synTimer?.cancel();
      this.#state = CLOSED;
    } else if (isUnread || this.lingerZero) {
      // RFC 2525 §2.17: a close with data unread is a reset.
      this.#abort();
    } else {
      this.#shut = RECEIVE | SEND;
      this.#queueFin();
      // The window is no longer bounded by a buffer: data that still comes is answered with a reset.
      const peer = this.#peer;
      if (peer !== undefined) this.#later(() => peer.#push());
    }
    this.ports().remove(this);
  }

  // State

  poll(): number {
    if (this.#state === LISTENING) return this.#acceptable.length > 0 ? c.EPOLLIN : 0;
    let mask = this.error === 0 ? 0 : c.EPOLLERR;
    if (this.#shut === (RECEIVE | SEND) || this.#state === CLOSED) mask |= c.EPOLLHUP;
    if ((this.#shut & RECEIVE) !== 0) mask |= c.EPOLLIN | c.EPOLLRDHUP;
    if (this.#state === SYN_SENT || this.#state === SYN_RECEIVED) return mask;
    if (this.#rcv.length > 0) mask |= c.EPOLLIN;
    if ((this.#shut & SEND) !== 0 || this.#isWritable()) return mask | c.EPOLLOUT;
    this.#noSpace = true;
    return mask;
  }

  override peerName(): SocketName | undefined {
    return this.#state === ESTABLISHED ? super.peerName() : undefined;
  }

  describe(): string {
    const local: Endpoint = { ip: this.localIp, port: this.localPort };
    return `tcp ${formatEndpoint(local)} -> ${formatEndpoint(this.remote)} ${this.#state}`;
  }
}
