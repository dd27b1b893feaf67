/**
 * The DNS service against the tools that people use (dig, kdig, dnsperf), with dnsmasq as the host's name server.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Zone } from '../../src/services/zone.ts';
import { parseIpv4, parseIpv6 } from '../../src/wire/address.ts';
import { DnsFront } from '../support/dns-front.ts';
import type { DnsAnswer } from '../support/dns-tools.ts';
import { parseAnswer } from '../support/dns-tools.ts';
import { needs } from '../support/needs.ts';
import { Process, run } from '../support/process.ts';

function makeZone(): Zone {
  const zone = new Zone({
    domain: 'lab.internal',
    subnet4: { network: parseIpv4('192.168.105.0')!, prefix: 24 },
    prefix6: { words: parseIpv6('fd00:105::')!, prefix: 64 },
    gateway4: parseIpv4('192.168.105.1')!,
    gateway6: parseIpv6('fd00:105::1')!,
  });
  zone.setGuest('web', [parseIpv4('192.168.105.10')!], [parseIpv6('fd00:105::10')!]);
  const name = 'all.lab.internal';
  zone.setRecords([
    { name, type: 'A', value: '192.168.105.20' },
    { name, type: 'AAAA', value: 'fd00:105::20' },
    { name, type: 'MX', value: '10 mail.lab.internal' },
    { name, type: 'TXT', value: '"two strings" "in one; record"' },
    { name, type: 'NS', value: 'ns.lab.internal' },
    { name, type: 'PTR', value: 'ptr.lab.internal' },
    { name, type: 'CAA', value: '0 issue "ca.example.net"' },
    { name, type: 'NAPTR', value: '100 10 "s" "SIP+D2U" "" _sip._udp.lab.internal' },
    { name, type: 'SRV', value: '0 5 5060 sip.lab.internal' },
    { name, type: 'HTTPS', value: '1 . alpn=h2,h3 port=8443 ipv4hint=192.168.105.20' },
    { name, type: 'SVCB', value: '1 svc.lab.internal port=8443' },
    { name, type: 'TYPE4711', value: '00ff' },
    { name: 'alias.lab.internal', type: 'CNAME', value: 'web.lab.internal' },
    { name: 'outward.lab.internal', type: 'CNAME', value: 'host.up.test' },
    ...Array.from({ length: 80 }, (_, i) => ({
      name: 'big.lab.internal',
      type: 'TXT',
      value: `${i} ${'x'.repeat(60)}`,
    })),
  ]);
  return zone;
}

const LOCAL: [string, string, string][] = [
  ['all.lab.internal', 'A', '192.168.105.20'],
  ['all.lab.internal', 'AAAA', 'fd00:105::20'],
  ['all.lab.internal', 'MX', '10 mail.lab.internal.'],
  ['all.lab.internal', 'TXT', '"two strings" "in one; record"'],
  ['all.lab.internal', 'NS', 'ns.lab.internal.'],
  ['all.lab.internal', 'PTR', 'ptr.lab.internal.'],
  ['all.lab.internal', 'CAA', '0 issue "ca.example.net"'],
  ['all.lab.internal', 'NAPTR', '100 10 "s" "SIP+D2U" "" _sip._udp.lab.internal.'],
  ['all.lab.internal', 'SRV', '0 5 5060 sip.lab.internal.'],
  ['all.lab.internal', 'HTTPS', '1 . alpn="h2,h3" port=8443 ipv4hint=192.168.105.20'],
  ['all.lab.internal', 'SVCB', '1 svc.lab.internal. port=8443'],
  ['all.lab.internal', 'TYPE4711', String.raw`\# 2 00FF`],
  ['lab.internal', 'SOA', 'gateway.vmlan.internal. hostmaster.vmlan.internal. 3 3600 600 86400 2'],
  ['web.lab.internal', 'A', '192.168.105.10'],
  ['web.vmlan.internal', 'AAAA', 'fd00:105::10'],
  ['lima-web.internal', 'A', '192.168.105.10'],
  ['host.lima.internal', 'A', '192.168.105.1'],
];

/** dig with short patience; the port is that of the front. */
async function dig(front: DnsFront, ...args: readonly string[]): Promise<DnsAnswer> {
  const { stdout } = await run(['dig', '@127.0.0.1', '-p', String(front.port), '+time=3', '+tries=1', ...args]);
  return parseAnswer(stdout);
}

async function kdig(front: DnsFront, ...args: readonly string[]): Promise<DnsAnswer> {
  const { stdout, stderr } = await run([
    'kdig',
    '@127.0.0.1',
    '-p',
    String(front.port),
    '+time=3',
    '+retry=0',
    ...args,
  ]);
  return parseAnswer(stdout + stderr);
}

const data = (answer: DnsAnswer): string[] => answer.answers.map((record) => record.data);
/** kdig leaves out quotes, ends some lines in a blank, and writes hex in small letters. */
const plain = (text: string): string => text.replaceAll('"', '').trim().toLowerCase();

describe('names of the network', () => {
  test('every type, by dig', async (t) => {
    if (!needs(t, 'dig')) return;
    await using front = await DnsFront.start({ zone: makeZone() });
    for (const [name, type, want] of LOCAL) {
      const answer = await dig(front, name, type);
      assert.deepEqual([answer.status, data(answer)], ['NOERROR', [want]], `${name} ${type}\n${answer.text}`);
      assert.deepEqual(answer.flags, ['qr', 'aa', 'rd', 'ra'], answer.text);
      assert.doesNotMatch(answer.text, /WARNING|warning|malformed|extra bytes/i);
    }
  });

  test('every type, by kdig, also over TCP', async (t) => {
    if (!needs(t, 'kdig')) return;
    await using front = await DnsFront.start({ zone: makeZone() });
    for (const [name, type, want] of LOCAL) {
      const answer = await kdig(front, type === 'A' ? '+tcp' : '+notcp', name, type);
      assert.deepEqual(
        [answer.status, data(answer).map(plain)],
        ['NOERROR', [plain(want)]],
        `${name} ${type}\n${answer.text}`,
      );
      assert.doesNotMatch(answer.text, /WARNING|malformed/i);
    }
  });

  test('aliases, ANY, reverse names, spelling', async (t) => {
    if (!needs(t, 'dig')) return;
    await using front = await DnsFront.start({ zone: makeZone() });
    assert.deepEqual(data(await dig(front, 'alias.lab.internal', 'A')), ['web.lab.internal.', '192.168.105.10']);
    assert.equal((await dig(front, 'all.lab.internal', 'ANY', '+notcp')).answers.length, 12);
    assert.deepEqual(data(await dig(front, '-x', '192.168.105.10')), ['web.lab.internal.']);
    assert.deepEqual(data(await dig(front, '-x', 'fd00:105::10')), ['web.lab.internal.']);
    assert.deepEqual(data(await dig(front, '-x', '192.168.105.1')), ['gateway.vmlan.internal.']);
    const odd = await dig(front, 'wEb.LAB.internal', 'A');
    assert.equal(odd.answers[0]?.name, 'wEb.LAB.internal.');
  });

  test('NXDOMAIN, empty answers, refusals', async (t) => {
    if (!needs(t, 'dig')) return;
    await using front = await DnsFront.start({ zone: makeZone(), upstream: 'none' });
    const table: [string[], string, string[]][] = [
      [['x.lab.internal', 'A'], 'NXDOMAIN', ['lab.internal.']],
      [['x.web.lab.internal', 'MX'], 'NXDOMAIN', ['lab.internal.']],
      [['lima-x.internal', 'A'], 'NXDOMAIN', ['internal.']],
      [['-x', '192.168.105.77'], 'NXDOMAIN', ['105.168.192.in-addr.arpa.']],
      [['web.lab.internal', 'TXT'], 'NOERROR', ['lab.internal.']],
      [['a.invalid', 'A'], 'NXDOMAIN', ['invalid.']],
      [['example.com', 'A'], 'REFUSED', []],
      [['version.bind', 'TXT', 'CH'], 'REFUSED', []],
      [['web.lab.internal', 'A', '+opcode=notify'], 'NOTIMP', []],
      [['web.lab.internal', 'A', '+edns=1', '+noednsneg'], 'BADVERS', []],
    ];
    for (const [args, status, authority] of table) {
      const answer = await dig(front, ...args);
      assert.deepEqual([answer.status, answer.answers.length], [status, 0], answer.text);
      assert.deepEqual(
        answer.authority.map((record) => [record.name, record.type]),
        authority.map((zone) => [zone, 'SOA']),
        answer.text,
      );
    }
  });

  test('sizes: truncated for the client’s limit, whole over TCP', async (t) => {
    if (!needs(t, 'dig')) return;
    await using front = await DnsFront.start({ zone: makeZone() });
    for (const [option, limit] of [
      ['+noedns', 512],
      ['+bufsize=512', 512],
      ['+bufsize=1232', 1232],
      ['+bufsize=4096', 4096],
    ] as const) {
      const cut = await dig(front, 'big.lab.internal', 'TXT', option, '+ignore');
      const octets = Number(/MSG SIZE\s+rcvd: (\d+)/.exec(cut.text)?.[1]);
      assert.ok(cut.flags.includes('tc') && octets <= limit && octets > limit - 100, cut.text);
      assert.equal(/EDNS: version: 0/.test(cut.text), option !== '+noedns');
      const whole = await dig(front, 'big.lab.internal', 'TXT', option);
      assert.equal(whole.answers.length, 80);
      assert.match(whole.text, /Truncated, retrying in TCP mode/);
    }
    assert.equal((await dig(front, 'big.lab.internal', 'TXT', '+tcp')).answers.length, 80);
  });

  test('EDNS: DO comes back, cookies and unknown options do no harm, several questions on one connection', async (t) => {
    if (!needs(t, 'dig')) return;
    await using front = await DnsFront.start({ zone: makeZone() });
    assert.match((await dig(front, 'web.lab.internal', 'A', '+dnssec')).text, /EDNS: version: 0, flags: do;/);
    for (const option of [
      '+cookie',
      '+nocookie',
      '+subnet=10.0.0.0/8',
      '+nsid',
      '+ednsopt=65001:00ff',
      '+padding=128',
      '+keepalive',
    ]) {
      assert.deepEqual(data(await dig(front, 'web.lab.internal', 'A', option)), ['192.168.105.10'], option);
    }
    const { text } = await dig(
      front,
      '+tcp',
      '+keepopen',
      'web.lab.internal',
      'A',
      'web.lab.internal',
      'AAAA',
      'x.lab.internal',
      'A',
    );
    assert.equal(text.match(/status: (NOERROR|NXDOMAIN)/g)?.length, 3);
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** A name server for up.test alone; it refuses other names, having no server of its own. */
async function startDnsmasq(port: number, address: string, ...args: readonly string[]): Promise<Process> {
  const user = process.getuid?.() === 0 ? ['--user=root'] : [];
  const bare = [
    '--keep-in-foreground',
    '--conf-file=/dev/null',
    '--no-resolv',
    '--no-hosts',
    '--pid-file=',
    '--log-facility=-',
  ];
  const place = [`--port=${port}`, `--listen-address=${address}`, '--bind-interfaces', '--local=/up.test/'];
  const child = Process.start(['dnsmasq', ...bare, ...user, ...place, ...args]);
  await child.waitFor(/started, version/);
  return child;
}

const UPSTREAM = [
  '--host-record=host.up.test,203.0.113.10,2001:db8::10',
  '--cname=alias.up.test,host.up.test',
  '--mx-host=host.up.test,mail.up.test,10',
  '--txt-record=host.up.test,some text',
  '--srv-host=_sip._udp.up.test,sip.up.test,5060,0,5',
  '--ptr-record=10.113.0.203.in-addr.arpa,host.up.test',
  '--naptr-record=host.up.test,100,10,s,SIP+D2U,,sip.up.test',
  '--caa-record=host.up.test,0,issue,ca.example.net',
  '--dns-rr=host.up.test,65,0001000001000302683200', // HTTPS, not quite well-formed: passed on as it is
  '--dns-rr=host.up.test,4711,00ff',
  ...Array.from({ length: 60 }, (_, i) => `--txt-record=big.up.test,${i} ${'y'.repeat(100)}`),
];

describe('other names, by dnsmasq', () => {
  test('every type, aliases, truncation, negative answers', async (t) => {
    if (!needs(t, 'dig', 'dnsmasq')) return;
    const upstreamPort = await freePort();
    await using _dnsmasq = await startDnsmasq(upstreamPort, '127.0.0.1', ...UPSTREAM);
    await using front = await DnsFront.start({ zone: makeZone(), resolvConf: 'nameserver 127.0.0.1\n', upstreamPort });
    const table: [string, string, string[]][] = [
      ['host.up.test', 'A', ['203.0.113.10']],
      ['host.up.test', 'AAAA', ['2001:db8::10']],
      ['alias.up.test', 'A', ['host.up.test.', '203.0.113.10']],
      ['host.up.test', 'MX', ['10 mail.up.test.']],
      ['host.up.test', 'TXT', ['"some text"']],
      ['_sip._udp.up.test', 'SRV', ['0 5 5060 sip.up.test.']],
      ['10.113.0.203.in-addr.arpa', 'PTR', ['host.up.test.']],
      ['host.up.test', 'NAPTR', ['100 10 "s" "SIP+D2U" "" sip.up.test.']],
      ['host.up.test', 'CAA', ['0 issue "ca.example.net"']],
      ['host.up.test', 'TYPE4711', [String.raw`\# 2 00FF`]],
      ['outward.lab.internal', 'AAAA', ['host.up.test.', '2001:db8::10']],
      ['host.up.test', 'LOC', []],
    ];
    for (const [name, type, want] of table) {
      for (const round of ['asked', 'kept']) {
        const answer = await dig(front, name, type);
        assert.deepEqual([answer.status, data(answer)], ['NOERROR', want], `${round}\n${answer.text}`);
        assert.doesNotMatch(answer.text, /WARNING|malformed|extra bytes/i);
      }
    }
    assert.equal((await dig(front, 'none.up.test')).status, 'NXDOMAIN');
    assert.equal((await dig(front, 'elsewhere.example')).status, 'REFUSED');
    assert.equal((await dig(front, 'big.up.test', 'TXT')).answers.length, 60);
    const cut = await dig(front, 'big.up.test', 'TXT', '+noedns', '+ignore');
    assert.ok(cut.flags.includes('tc') && cut.answers.length < 60);
  });

  test('the host’s resolver changes, dies, comes back', async (t) => {
    if (!needs(t, 'dig', 'dnsmasq')) return;
    const upstreamPort = await freePort();
    await using first = await startDnsmasq(upstreamPort, '127.0.0.1', '--host-record=host.up.test,203.0.113.1');
    await using _second = await startDnsmasq(upstreamPort, '127.0.0.2', '--host-record=host.up.test,203.0.113.2');
    await using front = await DnsFront.start({ zone: makeZone(), resolvConf: 'nameserver 127.0.0.1\n', upstreamPort });
    const ask = async (name: string): Promise<string> => {
      const answer = await dig(front, name);
      return [answer.status, ...data(answer)].join(' ');
    };
    assert.equal(await ask('host.up.test'), 'NOERROR 203.0.113.1');
    front.writeResolvConf('nameserver 127.0.0.2\n');
    await ask('other.up.test'); // the change is seen, and the cache emptied
    assert.equal(await ask('host.up.test'), 'NOERROR 203.0.113.2');
    front.writeResolvConf('');
    assert.equal(await ask('none.up.test'), 'SERVFAIL');
    assert.equal(await ask('web.lab.internal'), 'NOERROR 192.168.105.10');
    await first.stop();
    front.writeResolvConf('nameserver 127.0.0.1\n');
    assert.equal(await ask('none.up.test'), 'SERVFAIL');
    front.writeResolvConf('nameserver 127.0.0.1\nnameserver 127.0.0.2\n');
    assert.equal(await ask('host.up.test'), 'NOERROR 203.0.113.2');
  });

  test('local names are never asked of it', async (t) => {
    if (!needs(t, 'dig', 'dnsmasq')) return;
    const upstreamPort = await freePort();
    await using dnsmasq = await startDnsmasq(upstreamPort, '127.0.0.1', '--log-queries', ...UPSTREAM);
    await using front = await DnsFront.start({ zone: makeZone(), resolvConf: 'nameserver 127.0.0.1\n', upstreamPort });
    for (const name of [
      'web.lab.internal',
      'gone.lab.internal',
      'web',
      'gone',
      'lima-gone.internal',
      'x.vmlan.internal',
      'a.onion',
    ]) {
      for (const type of ['A', 'AAAA']) await dig(front, name, type);
    }
    for (const type of ['MX', 'SRV', 'HTTPS', 'TYPE4711', 'ANY']) await dig(front, 'web.lab.internal', type, '+notcp');
    await dig(front, '-x', '192.168.105.77');
    await dig(front, 'corp.internal');
    await dnsmasq.waitFor(/query\[A\] corp\.internal/);
    assert.deepEqual(
      [...(dnsmasq.stdout + dnsmasq.stderr).matchAll(/query\[\S+\] (\S+)/g)].map(([, name]) => name),
      ['corp.internal'],
    );
  });
});

test('dnsperf at 2000 queries a second loses none', async (t) => {
  if (!needs(t, 'dnsperf', 'dnsmasq')) return;
  const upstreamPort = await freePort();
  await using _dnsmasq = await startDnsmasq(upstreamPort, '127.0.0.1', ...UPSTREAM);
  await using front = await DnsFront.start({ zone: makeZone(), resolvConf: 'nameserver 127.0.0.1\n', upstreamPort });
  const folder = mkdtempSync(join(tmpdir(), 'vmlan-dnsperf-'));
  const queries = join(folder, 'queries');
  const names = ['web.lab.internal A', 'x.lab.internal A', 'host.up.test AAAA', 'all.lab.internal HTTPS'];
  const unique = Array.from({ length: 400 }, (_, i) => `n${i}.up.test A`);
  writeFileSync(queries, `${unique.flatMap((line) => [...names, line]).join('\n')}\n`);
  const { stdout } = await run([
    'dnsperf',
    '-s',
    '127.0.0.1',
    '-p',
    String(front.port),
    '-d',
    queries,
    '-Q',
    '2000',
    '-l',
    '3',
  ]);
  rmSync(folder, { recursive: true });
  assert.match(stdout, /Queries lost:\s+0 /);
  assert.ok(Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1]) > 5000, stdout);
});
