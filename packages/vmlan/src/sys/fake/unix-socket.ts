/**
 * A unix socket of the fake kernel (man 7 unix): stream, datagram and seqpacket, pairs and paths.
 *
 * Zone: control.  A path outlives its socket, as a file does, until `unlink`: connecting then answers ECONNREFUSED, and
 * binding EADDRINUSE.  Descriptors cannot be sent: control data is not carried.
 */
import * as c from '../constants.ts';
import type { SocketName } from './address.ts';
import { Socket } from './socket.ts';
import { MessageInbox, type Origin, StreamInbox, type UnixInbox } from './unix-inbox.ts';

/** Path -> its socket, undefined once that is closed. */
export type UnixPaths = Map<string, UnixSocket | undefined>;

/** Datagrams that wait at a socket for a sender it is not connected to (net.unix.max_dgram_qlen), less one. */
const DATAGRAM_BACKLOG = 10;
const RECEIVE = 1; // bits of #shut
const SEND = 2;

export class UnixSocket extends Socket {
  #path = '';
  #peer: UnixSocket | undefined;
  #shut = 0;
  #isListening = false;
  #isClosed = false;
  #backlog = 0;
  #peekOffset = -1; // streams only
  #acceptable: UnixSocket[] = [];
  readonly #inbox: UnixInbox;
  readonly #origin: Origin = { path: '', truncated: false };
  readonly #paths: UnixPaths;
  /** Senders that found this queue full. */
  readonly #waiting = new Set<UnixSocket>();

  constructor(paths: UnixPaths, type: number) {
    super(c.AF_UNIX, type);
    this.#paths = paths;
    this.#inbox = type === c.SOCK_STREAM ? new StreamInbox() : new MessageInbox();
  }

  get #isDatagram(): boolean {
    return this.type === c.SOCK_DGRAM;
  }

  pairWith(other: UnixSocket): void {
    this.#peer = other;
    other.#peer = this;
  }

  bind(name: SocketName): number {
    if (name.kind !== 'unix' || name.path === '') return -c.EINVAL;
    if (this.#path !== '') return -c.EINVAL;
    if (this.#paths.has(name.path)) return -c.EADDRINUSE;
    this.#path = name.path;
    this.#paths.set(name.path, this);
    return 0;
  }

  /** The socket that `name` leads to, or -errno. */
  #lookup(name: SocketName): UnixSocket | number {
    if (name.kind !== 'unix') return -c.EINVAL;
    if (!this.#paths.has(name.path)) return name.path.startsWith('\0') ? -c.ECONNREFUSED : -c.ENOENT;
    const found = this.#paths.get(name.path);
    if (found === undefined) return -c.ECONNREFUSED;
    return found.type === this.type ? found : -c.EPROTOTYPE;
  }

  connect(name: SocketName): number {
    if (this.#isDatagram && name.kind === 'unspec') {
      this.#changePeer(undefined);
      return 0;
    }
    const found = this.#lookup(name);
    if (typeof found === 'number') return found;
    if (this.#isDatagram) {
      this.#changePeer(found);
      return 0;
    }
    if (this.#isListening) return -c.EINVAL;
    if (this.#peer !== undefined) return -c.EISCONN;
    if (!found.#isListening) return -c.ECONNREFUSED;
    if (found.#acceptable.length > found.#backlog) return -c.EAGAIN;
    const child = new UnixSocket(this.#paths, this.type);
    child.#path = found.#path;
    this.pairWith(child);
    found.#acceptable.push(child);
    found.wake(c.EPOLLIN);
    return 0;
  }

  /** What waits from the old peer of a datagram socket is lost, and a peer that was connected to it is told. */
  #changePeer(peer: UnixSocket | undefined): void {
    const old = this.#peer;
    this.#peer = peer;
    if (old === undefined || old === peer || this.#inbox.isEmpty) return;
    this.#inbox.clear();
    if (!old.#isClosed && old.#peer === this) old.fail(c.ECONNRESET);
  }

  override listen(backlog: number): number {
    if (this.#isDatagram) return -c.ENOTSUP;
    if (this.#path === '' || this.#peer !== undefined) return -c.EINVAL;
    this.#isListening = true;
    this.#backlog = backlog;
    return 0;
  }

  override accept(): UnixSocket | number {
    if (this.#isDatagram) return -c.ENOTSUP;
    if (!this.#isListening) return -c.EINVAL;
    return this.#acceptable.shift() ?? -c.EAGAIN;
  }

  transmit(memory: Uint8Array, off: number, len: number, _flags: number, to: SocketName | undefined): number {
    if (!this.#isDatagram) return this.#transmitConnected(memory, off, len, to);
    if (this.error !== 0) return -this.takeError();
    if ((this.#shut & SEND) !== 0) return -c.EPIPE;
    let target = this.#peer;
    if (to !== undefined) {
      const found = this.#lookup(to);
      if (typeof found === 'number') return found;
      target = found;
    }
    if (target === undefined) return -c.ENOTCONN;
    if (target.#isClosed) {
      if (target === this.#peer) this.#changePeer(undefined);
      return -c.ECONNREFUSED;
    }
    if ((target.#shut & RECEIVE) !== 0) return -c.EPIPE;
    if (target.#isFullFor(this)) {
      target.#waiting.add(this);
      return -c.EAGAIN;
    }
    return this.#deliver(target, memory, off, len);
  }

  #transmitConnected(memory: Uint8Array, off: number, len: number, to: SocketName | undefined): number {
    if (this.type === c.SOCK_SEQPACKET && this.error !== 0) return -this.takeError();
    if (to !== undefined) return this.#peer === undefined ? -c.ENOTSUP : -c.EISCONN;
    if (this.#peer === undefined) return -c.ENOTCONN;
    if ((this.#shut & SEND) !== 0) return -c.EPIPE;
    if (this.error !== 0) return -this.takeError();
    if (this.#peer.#isClosed || (this.#peer.#shut & RECEIVE) !== 0) return -c.EPIPE;
    return this.#deliver(this.#peer, memory, off, len);
  }

  #deliver(target: UnixSocket, memory: Uint8Array, off: number, len: number): number {
    const count = target.#inbox.put(memory, off, len, this.sendBuffer, this.#path);
    if (count >= 0) target.wake(c.EPOLLIN);
    if (count === -c.EAGAIN) target.#waiting.add(this);
    return count;
  }

  protected override onOption(level: number, name: number, value: number): void {
    if (level === c.SOL_SOCKET && name === c.SO_PEEK_OFF && this.type === c.SOCK_STREAM) this.#peekOffset = value;
  }

  override getOption(level: number, name: number): number {
    const isPeekOffset = level === c.SOL_SOCKET && name === c.SO_PEEK_OFF && this.type === c.SOCK_STREAM;
    return isPeekOffset ? this.#peekOffset : super.getOption(level, name);
  }

  #isFullFor(sender: UnixSocket): boolean {
    return this.#peer !== sender && this.#inbox.messages > DATAGRAM_BACKLOG;
  }

  receive(memory: Uint8Array, off: number, len: number, flags: number): number {
    if ((flags & c.MSG_ERRQUEUE) !== 0) return -c.EAGAIN;
    if (this.#isDatagram || this.type === c.SOCK_SEQPACKET) {
      if (!this.#isDatagram && this.#peer === undefined) return -c.ENOTCONN;
      if (this.error !== 0) return -this.takeError();
    } else if (this.#peer === undefined) return -c.EINVAL;
    const isPeek = (flags & c.MSG_PEEK) !== 0;
    const isStream = this.type === c.SOCK_STREAM;
    const skip = isPeek && isStream ? Math.max(this.#peekOffset, 0) : 0;
    if (this.#inbox.isEmpty || (isStream && this.#inbox.charged <= skip)) {
      if (this.error !== 0) return -this.takeError();
      return this.#isDatagram || (this.#shut & RECEIVE) === 0 ? -c.EAGAIN : 0;
    }
    const count = this.#inbox.take(memory, off, len, flags, this.#origin, skip);
    if (this.#peekOffset >= 0) this.#peekOffset = Math.max(0, this.#peekOffset + (isPeek ? count : -count));
    const path = isStream ? this.#peer!.#path : this.#origin.path;
    this.received.name = path === '' ? undefined : { kind: 'unix', path };
    this.received.truncated = this.#origin.truncated;
    if (!isPeek) this.#offerSpace();
    return count;
  }

  /** Linux reports EPOLLOUT when three quarters of the send buffer are free. */
  #offerSpace(): void {
    const peer = this.#peer;
    if (peer !== undefined && peer.#isWritable()) peer.wake(c.EPOLLOUT);
    for (const sender of this.#waiting) {
      if (!sender.#isWritable()) continue;
      this.#waiting.delete(sender);
      if (sender !== peer) sender.wake(c.EPOLLOUT);
    }
  }

  #isWritable(): boolean {
    const target = this.#peer;
    if (target === undefined) return true;
    if (this.#isDatagram && target.#isFullFor(this)) {
      target.#waiting.add(this);
      return false;
    }
    return 4 * target.#inbox.charged <= this.sendBuffer;
  }

  shutdown(how: number): number {
    if (how < 0 || how > 2) return -c.EINVAL;
    this.#shut |= how + 1;
    const peer = this.#peer;
    if (peer !== undefined && !this.#isDatagram) {
      if (how !== c.SHUT_RD) peer.#shut |= RECEIVE;
      if (how !== c.SHUT_WR) peer.#shut |= SEND;
      peer.wake();
    }
    this.wake();
    return 0;
  }

  poll(): number {
    if (this.#isListening) return this.#acceptable.length > 0 ? c.EPOLLIN : 0;
    let mask = this.error === 0 ? 0 : c.EPOLLERR;
    if (this.#shut === (RECEIVE | SEND)) mask |= c.EPOLLHUP;
    if ((this.#shut & RECEIVE) !== 0) mask |= c.EPOLLIN | c.EPOLLRDHUP;
    if (!this.#inbox.isEmpty) mask |= c.EPOLLIN;
    if (!this.#isDatagram && this.#peer === undefined) mask |= c.EPOLLHUP;
    return this.#isWritable() ? mask | c.EPOLLOUT : mask;
  }

  override ioctl(view: DataView, request: number, argument: number, _value: number): number {
    if (request !== c.FIONREAD && request !== c.SIOCOUTQ) return -c.ENOTTY;
    const queued = this.#peer === undefined ? 0 : this.#peer.#inbox.charged;
    view.setInt32(argument, request === c.FIONREAD ? this.#inbox.readable(this.#isDatagram) : queued, true);
    return 0;
  }

  localName(): SocketName {
    return { kind: 'unix', path: this.#path };
  }

  peerName(): SocketName | undefined {
    return this.#peer && { kind: 'unix', path: this.#peer.#path };
  }

  describe(): string {
    const role = this.#isListening ? 'listening' : this.#peer === undefined ? 'unconnected' : 'connected';
    return `unix ${this.#path || '(unnamed)'} ${role}`;
  }

  protected onClose(): void {
    this.#isClosed = true;
    if (this.#path !== '' && this.#paths.get(this.#path) === this) {
      if (this.#path.startsWith('\0')) this.#paths.delete(this.#path);
      else this.#paths.set(this.#path, undefined);
    }
    for (const child of this.#acceptable) child.#hangUp(true);
    this.#acceptable = [];
    if (!this.#isDatagram) this.#hangUp(!this.#inbox.isEmpty);
    for (const sender of this.#waiting) sender.wake(c.EPOLLOUT);
    this.#waiting.clear();
  }

  /** Tells the peer that this end is gone; `lost`: with data unread. */
  #hangUp(lost: boolean): void {
    this.#isClosed = true;
    const peer = this.#peer;
    if (peer === undefined) return;
    peer.#shut = RECEIVE | SEND;
    if (lost) peer.error = c.ECONNRESET;
    peer.wake();
  }
}
