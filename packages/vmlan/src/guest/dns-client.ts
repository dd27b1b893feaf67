/**
 * The resolver of a guest (RFC 1035 §7): asks the servers that DHCP or a router named, by UDP and, where an answer is cut,
 * by TCP.
 *
 * Zone: control.  It remembers nothing: a test that changes a record sees the change.
 */
import * as dns from '../wire/dns.ts';
import { parseMessage } from '../wire/dns-message.ts';
import type { DnsMessage } from '../wire/dns-message.ts';
import { nameKey, nameText, parseName } from '../wire/dns-name.ts';
import { rdataText } from '../wire/dns-rdata.ts';
import { DnsWriter } from '../wire/dns-writer.ts';
import { GuestError } from './errors.ts';
import { parseIp } from './ip.ts';
import type { Ip } from './ip.ts';
import type { Tcp } from './tcp/tcp.ts';
import type { TcpSocket } from './tcp/socket.ts';
import type { Udp } from './udp.ts';

/** Patience with one question, then it is asked again, of the next server. */
export const TRIES_MS: readonly number[] = [1000, 2000, 4000];
const DNS_PORT = 53;
const TCP_LENGTH_BYTES = 2;

/** A record of an answer. */
export interface DnsAnswerRecord {
  readonly name: string;
  /** e.g. `A`. */
  readonly type: string;
  /** Seconds. */
  readonly ttl: number;
  /** As a zone file has it. */
  readonly value: string;
}

/** What a server said. */
export interface DnsAnswer {
  /** e.g. `NOERROR`, `NXDOMAIN`. */
  readonly rcode: string;
  readonly authoritative: boolean;
  readonly answers: readonly DnsAnswerRecord[];
}

export interface DnsConfig {
  readonly servers: readonly Ip[];
  /** Domains that names without a dot are looked for in. */
  readonly search: readonly string[];
}

export class DnsClient {
  readonly #udp: Udp;
  readonly #tcp: () => Tcp;
  readonly #config: () => DnsConfig;
  readonly #random: () => number;

  constructor(udp: Udp, tcp: () => Tcp, config: () => DnsConfig, random: () => number) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#config = config;
    this.#random = random;
  }

  /**
   * The values of a name's records, CNAMEs followed.  Rejects with ENOTFOUND when there is no such name, ENODATA when it has
   * none of that type, ESERVFAIL, ETIMEDOUT.
   */
  async resolve(name: string, type = 'A'): Promise<readonly string[]> {
    let exists = false;
    for (const candidate of this.#candidates(name)) {
      const { rcode, answers } = await this.query(candidate, type);
      if (rcode === 'NXDOMAIN') continue;
      if (rcode !== 'NOERROR') throw new GuestError('ESERVFAIL', `${candidate}: the name server says ${rcode}`);
      const values = answers.filter((record) => record.type === type.toUpperCase()).map((record) => record.value);
      if (values.length > 0) return values;
      exists = true;
    }
    if (exists) throw new GuestError('ENODATA', `${name} has no record of type ${type}`);
    throw new GuestError('ENOTFOUND', `there is no name ${name}`);
  }

  /** The addresses of a name, IPv4 first; an address means itself. */
  async addresses(host: string): Promise<readonly Ip[]> {
    const literal = parseIp(host);
    if (literal !== null) return [literal];
    const found: string[] = [];
    let failure: unknown = null;
    for (const type of ['A', 'AAAA']) {
      try {
        found.push(...(await this.resolve(host, type)));
      } catch (error) {
        if (!isAbsence(error)) throw error; // who does not answer one question does not answer the other
        failure ??= error;
      }
    }
    if (found.length === 0) throw failure;
    return found.flatMap((text) => parseIp(text) ?? []);
  }

  /** One question, as it stands, to the name servers. */
  async query(name: string, type = 'A'): Promise<DnsAnswer> {
    const octets = parseName(name);
    const number = dns.typeNumber(type.toUpperCase());
    if (octets === null) throw new GuestError('EINVAL', `"${name}" is no domain name`);
    if (number === undefined) throw new GuestError('EINVAL', `"${type}" is no type of DNS record`);
    const { servers } = this.#config();
    if (servers.length === 0) throw new GuestError('ESERVFAIL', `${name}: no name server is known`);
    const id = this.#random() & 0xffff;
    const question = newQuestion(id, octets, number);
    return answerOf(await this.#ask(servers, question, id, name));
  }

  #candidates(name: string): readonly string[] {
    if (name.endsWith('.')) return [name];
    const searched = this.#config().search.map((domain) => `${name}.${domain}`);
    // RFC 1535: a name with a dot is first taken as it is.
    return name.includes('.') ? [name, ...searched] : [...searched, name];
  }

  async #ask(servers: readonly Ip[], question: Uint8Array, id: number, name: string): Promise<DnsMessage> {
    let failure: GuestError = new GuestError('ETIMEDOUT', `${name}: the name servers do not answer`);
    for (const [i, timeoutMs] of TRIES_MS.entries()) {
      const server = servers[i % servers.length]!;
      try {
        const reply = await this.#askUdp(server, question, id, timeoutMs);
        return (reply.flags & dns.FLAG_TRUNCATED) === 0 ? reply : await this.#askTcp(server, question, id);
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        if (error.code !== 'ETIMEDOUT') failure = error;
      }
    }
    throw failure;
  }

  async #askUdp(server: Ip, question: Uint8Array, id: number, timeoutMs: number): Promise<DnsMessage> {
    const socket = this.#udp.bind();
    try {
      this.#udp.sendTo(server, socket.port, DNS_PORT, question);
      for (;;) {
        const { data, address, port } = await socket.receive({ timeoutMs });
        const reply = address === server.text && port === DNS_PORT ? replyTo(data, question, id) : null;
        if (reply !== null) return reply;
      }
    } finally {
      socket.close();
    }
  }

  async #askTcp(server: Ip, question: Uint8Array, id: number): Promise<DnsMessage> {
    const socket = await this.#tcp().connect(server.text, DNS_PORT, { timeoutMs: TRIES_MS[2]! });
    try {
      await socket.write(Uint8Array.of(question.length >>> 8, question.length & 255, ...question));
      const reply = replyTo(await readMessage(socket), question, id);
      if (reply === null) throw new GuestError('EPROTO', `${server.text} sent no answer to the question`);
      return reply;
    } finally {
      socket.abort();
    }
  }
}

const isAbsence = (error: unknown): boolean =>
  error instanceof GuestError && (error.code === 'ENOTFOUND' || error.code === 'ENODATA');

const writer = new DnsWriter();

function newQuestion(id: number, name: Uint8Array, type: number): Uint8Array {
  writer.begin(id, dns.FLAG_RECURSION_DESIRED, 0, dns.MAX_MESSAGE_OCTETS);
  const question = Uint8Array.of(...name, type >>> 8, type & 255, 0, dns.CLASS_IN);
  writer.question(question, 0, question.length);
  writer.edns(false);
  return writer.finish().slice();
}

/** The reply, if it is one to this question. */
function replyTo(data: Uint8Array, question: Uint8Array, id: number): DnsMessage | null {
  const reply = parseMessage(data);
  const [asked] = parseMessage(question)!.questions;
  const [answered] = reply?.questions ?? [];
  if (reply === null || reply.id !== id || (reply.flags & dns.FLAG_RESPONSE) === 0) return null;
  const isSame =
    answered !== undefined && answered.type === asked!.type && nameKey(answered.name) === nameKey(asked!.name);
  return isSame ? reply : null;
}

async function readMessage(socket: TcpSocket): Promise<Uint8Array> {
  let bytes = new Uint8Array(0);
  for await (const chunk of socket) {
    const longer = new Uint8Array(bytes.length + chunk.length);
    longer.set(bytes);
    longer.set(chunk, bytes.length);
    bytes = longer;
    if (bytes.length < TCP_LENGTH_BYTES) continue;
    const end = TCP_LENGTH_BYTES + dns.readUint16(bytes, 0);
    if (bytes.length >= end) return bytes.subarray(TCP_LENGTH_BYTES, end);
  }
  throw new GuestError('ECONNRESET', 'the name server closed the connection');
}

function answerOf(reply: DnsMessage): DnsAnswer {
  const code = dns.rcodeOf(reply.flags);
  const [rcode = `RCODE${code}`] = Object.entries(dns.RCODE).find(([, value]) => value === code) ?? [];
  return {
    rcode,
    authoritative: (reply.flags & dns.FLAG_AUTHORITATIVE) !== 0,
    answers: reply.answers.map(({ name, type, ttl, rdata }) => ({
      name: nameText(name).replace(/(.)\.$/, '$1'),
      type: dns.typeName(type),
      ttl,
      value: rdataText(type, rdata).replace(/^(\S+[^.\s])\.$/, '$1'),
    })),
  };
}
