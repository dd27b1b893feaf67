/**
 * DNS as a guest sees it: dig, kdig and dnsperf in a namespace ask the gateway of a real network, whose resolver is that
 * of the host. One world for all; names that tests change are their own.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { RecordInput } from '../../src/model/api.ts';
import { until } from '../support/deadline.ts';
import { dig, dnsmasq, dnsperf, kdig, type DnsAnswer } from '../support/dns-tools.ts';
import { LONG, missing } from '../support/needs.ts';
import { INTERNET, type Namespace } from '../support/netns.ts';
import { World } from './world.ts';

const CONFIG = `
networks:
  lab:
    mode: user-v2
    subnet: 192.168.77.0/24
    subnet6: fd77:1:2:3::/64
    dns: { hosts: { registry.lab.internal: 192.168.77.250, files.lab.internal: registry.lab.internal } }
`;
const GATEWAY = '192.168.77.1';
const GATEWAY6 = 'fd77:1:2:3::1';
const LOAD = { perSecond: 2000, seconds: LONG ? 10 : 3 };
const FOLLOW_MS = 10_000;

const NAME = 'all.lab.internal';
/** Name, type, value as dig prints it, and as it is written where that differs. */
const RECORDS: readonly (readonly [name: string, type: RecordInput['type'], printed: string, written?: string])[] = [
  [NAME, 'A', '192.168.77.240'],
  [NAME, 'AAAA', 'fd77:1:2:3::240'],
  [NAME, 'TXT', '"two strings" "in one; record"'],
  [NAME, 'NS', 'ns.lab.internal.', 'ns.lab.internal'],
  [NAME, 'MX', '10 mail.lab.internal.', '10 mail.lab.internal'],
  [NAME, 'PTR', 'ptr.lab.internal.', 'ptr.lab.internal'],
  [NAME, 'CAA', '0 issue "ca.example.net"'],
  [
    NAME,
    'HTTPS',
    '1 . alpn="h2,h3" port=8443 ipv4hint=192.168.77.240',
    '1 . alpn=h2,h3 port=8443 ipv4hint=192.168.77.240',
  ],
  [NAME, 'SVCB', '1 svc.lab.internal. port=8443', '1 svc.lab.internal port=8443'],
  [NAME, 'NAPTR', '100 10 "s" "SIP+D2U" "" _sip._udp.lab.internal.', '100 10 "s" "SIP+D2U" "" _sip._udp.lab.internal'],
  [NAME, 'TYPE4711', String.raw`\# 2 00FF`, '00ff'],
  ['_sip._udp.lab.internal', 'SRV', '0 5 5060 sip.lab.internal.', '0 5 5060 sip.lab.internal'],
  ['alias.lab.internal', 'CNAME', 'all.lab.internal.', 'all.lab.internal'],
  ['*.wild.lab.internal', 'A', '192.168.77.241'],
  ['240.77.168.192.in-addr.arpa', 'PTR', 'all.lab.internal.', 'all.lab.internal'],
];

const data = (answer: DnsAnswer): string[] => answer.answers.map((record) => record.data);
/** kdig leaves out quotes, ends some lines in a blank, and writes hex in small letters. */
const plain = (text: string): string => text.replaceAll('"', '').trim().toLowerCase();
const octets = (answer: DnsAnswer): number => Number(/MSG SIZE\s+rcvd: (\d+)/.exec(answer.text)?.[1] ?? NaN);

const why = missing('dnsmasq', 'dig', 'kdig', 'dnsperf', 'ip');

describe('DNS', { skip: why }, () => {
  let world: World;
  let alice: Namespace;
  let hostsFile = '';
  before(async () => {
    world = await World.create({
      config: CONFIG,
      records: [
        '--dns-rr=caa.unknown.test,4712,0001',
        ...Array.from({ length: 40 }, (_, i) => `--txt-record=big.test,${i} ${'y'.repeat(60)}`),
      ],
      prepare: async (_vmlan, lab) => {
        hostsFile = `/etc/netns/${lab.host.name}/hosts`;
        await writeFile(hostsFile, '127.0.0.1 localhost\n');
      },
    });
    alice = await world.namespaceGuest('alice', { network: 'lab', ip: '192.168.77.10', configure: true });
    await alice.waitForAddress('eth0', 6);
    for (const [name, type, printed, written = printed] of RECORDS) {
      await world.api.call('createRecord', { body: { network: 'lab', name, type, value: written } });
    }
    for (let i = 0; i < 80; i++) {
      const value = `${i} ${'x'.repeat(60)}`;
      await world.api.call('createRecord', { body: { network: 'lab', name: 'big.lab.internal', type: 'TXT', value } });
    }
  });
  after(() => world[Symbol.asyncDispose]());

  describe('records of every type', () => {
    const asked = (name: string): string => name.replace('*', 'any.thing');

    for (const [tool, ask] of [
      ['dig', dig],
      ['kdig', kdig],
    ] as const) {
      for (const [transport, server, option] of [
        ['UDP', GATEWAY, '+notcp'],
        ['TCP', GATEWAY, '+tcp'],
        ['UDP over IPv6', GATEWAY6, '+notcp'],
        ['TCP over IPv6', GATEWAY6, '+tcp'],
      ] as const) {
        test(`by ${tool}, ${transport}`, async () => {
          for (const [name, type, printed] of RECORDS) {
            const answer = await ask(alice, server, option, asked(name), type);
            const got = [answer.status, data(answer).map(plain)];
            assert.deepEqual(got, ['NOERROR', [plain(printed)]], `${name} ${type}\n${answer.text}`);
            assert.ok(answer.flags.includes('aa') && !answer.flags.includes('tc'), answer.text);
            assert.doesNotMatch(answer.text, /warning|malformed|extra bytes/i);
          }
        });
      }
    }

    test('of networks.yaml', async () => {
      assert.deepEqual(data(await dig(alice, GATEWAY, 'registry.lab.internal')), ['192.168.77.250']);
      assert.deepEqual(data(await dig(alice, GATEWAY, 'files.lab.internal')), [
        'registry.lab.internal.',
        '192.168.77.250',
      ]);
    });

    test('that make no sense are refused, and change nothing', async () => {
      for (const [type, value] of [
        ['MX', 'mail.lab.internal'],
        ['A', '192.168.77.256'],
        ['SRV', 'one two three four'],
        ['CNAME', 'other.lab.internal'], // beside other records of the name
        ['TYPE4713', 'no hex'],
      ] as const) {
        const name = NAME;
        await assert.rejects(
          world.api.call('createRecord', { body: { network: 'lab', name, type, value } }),
          { code: 'invalid' },
          type,
        );
      }
      assert.deepEqual(data(await dig(alice, GATEWAY, NAME, 'MX')), ['10 mail.lab.internal.']);
    });

    test('of the zone itself, the host and guests', async () => {
      for (const [name, type, want] of [
        ['lab.internal', 'SOA', /^gateway\.vmlan\.internal\. hostmaster\.vmlan\.internal\. \d+ 3600 600 86400 2$/],
        ['host.vmlan.internal', 'A', /^192\.168\.77\.1$/],
        ['host.vmlan.internal', 'AAAA', /^fd77:1:2:3::1$/],
        ['host.lima.internal', 'A', /^192\.168\.77\.1$/],
        ['alice.lab.internal', 'A', /^192\.168\.77\.10$/],
        ['alice.vmlan.internal', 'A', /^192\.168\.77\.10$/],
        ['lima-alice.internal', 'A', /^192\.168\.77\.10$/],
        ['alice', 'A', /^192\.168\.77\.10$/],
      ] as const) {
        const answer = await dig(alice, GATEWAY, name, type);
        assert.match(data(answer).join('\n'), want, answer.text);
      }
      assert.deepEqual(data(await dig(alice, GATEWAY, '-x', '192.168.77.10')), ['alice.lab.internal.']);
      assert.deepEqual(data(await dig(alice, GATEWAY, '-x', GATEWAY)), ['gateway.vmlan.internal.']);
    });
  });

  describe('long answers', () => {
    for (const [what, options, most] of [
      ['without EDNS', ['+noedns'], 512],
      ['of 512 octets', ['+bufsize=512'], 512],
      ['of 1232 octets', ['+bufsize=1232'], 1232],
      ['of 1400 octets', ['+bufsize=1400'], 1400],
      ['of 4096 octets', ['+bufsize=4096'], 4096],
    ] as const) {
      test(`in a datagram ${what} are cut and say so`, async () => {
        for (const name of ['big.lab.internal', 'big.test']) {
          const answer = await dig(alice, GATEWAY, ...options, '+ignore', '+notcp', name, 'TXT');
          assert.equal(answer.status, 'NOERROR', answer.text);
          assert.ok(octets(answer) <= most, answer.text);
          const isWhole = name === 'big.test' && most === 4096;
          assert.equal(answer.flags.includes('tc'), !isWhole, answer.text);
        }
      });
    }

    test('come whole over TCP, which dig and kdig change to by themselves', async () => {
      for (const ask of [dig, kdig]) {
        for (const [name, count] of [
          ['big.lab.internal', 80],
          ['big.test', 40],
        ] as const) {
          const answer = await ask(alice, GATEWAY, '+bufsize=1232', name, 'TXT');
          assert.equal(answer.answers.length, count, answer.text);
          assert.match(answer.text, /TCP/i);
        }
      }
    });

    test('come whole in a datagram that holds them', async () => {
      const answer = await dig(alice, GATEWAY, '+bufsize=8192', '+notcp', '+ignore', 'big.lab.internal', 'TXT');
      if (!answer.flags.includes('tc')) assert.equal(answer.answers.length, 80, answer.text);
    });

    test('are told apart from other versions of EDNS', async () => {
      const answer = await dig(alice, GATEWAY, '+edns=1', '+noednsnegotiation', NAME, 'A');
      assert.equal(answer.status, 'BADVERS', answer.text);
    });
  });

  describe('what is not there', () => {
    for (const [what, name, type, status, authority] of [
      ['no such name here', 'nobody.lab.internal', 'A', 'NXDOMAIN', /lab\.internal/],
      ['no such name among the common ones', 'nobody.vmlan.internal', 'A', 'NXDOMAIN', /vmlan\.internal/],
      ['no such address here', '99.77.168.192.in-addr.arpa', 'PTR', 'NXDOMAIN', /168\.192\.in-addr\.arpa/],
      ['no such type here', 'alice.lab.internal', 'MX', 'NOERROR', /lab\.internal/],
      ['no such name outside', 'nobody.test', 'A', 'NXDOMAIN', null],
      ['no such type outside', 'four.test', 'AAAA', 'NOERROR', null],
      ['nobody to ask about it', 'elsewhere.example', 'A', 'REFUSED|SERVFAIL', null],
    ] as const) {
      test(what, async () => {
        for (const ask of [dig, kdig]) {
          const answer = await ask(alice, GATEWAY, name, type);
          assert.match(answer.status, new RegExp(`^(?:${status})$`), answer.text);
          assert.equal(answer.answers.length, 0, answer.text);
          if (authority === null) continue;
          assert.match(answer.authority.map(({ name: owner, type: kind }) => `${owner} ${kind}`).join(), authority);
          assert.equal(answer.authority[0]?.type, 'SOA');
        }
      });
    }

    test('what the outside has comes as it is there', async () => {
      for (const [name, type, want] of [
        ['web.test', 'A', [INTERNET.server4]],
        ['web.test', 'AAAA', [INTERNET.server6]],
        ['alias.test', 'A', ['web.test.', INTERNET.server4]],
        ['text.test', 'TXT', ['"hello there"']],
        ['mail.test', 'MX', ['10 web.test.']],
        ['_sip._udp.test', 'SRV', ['1 2 5060 web.test.']],
        ['caa.test', 'CAA', ['0 issue "ca.test"']],
        ['caa.unknown.test', 'TYPE4712', [String.raw`\# 2 0001`]],
      ] as const) {
        const answer = await dig(alice, GATEWAY, name, type);
        assert.deepEqual([answer.status, data(answer)], ['NOERROR', want], answer.text);
      }
    });
  });

  test('names go with their guest, and come back with it', async () => {
    const names = [
      'passing.lab.internal',
      'passing.vmlan.internal',
      'lima-passing.internal',
      '20.77.168.192.in-addr.arpa',
    ];
    const statuses = async (): Promise<string[]> => {
      const answers = await Promise.all(
        names.map((name) => dig(alice, GATEWAY, name, name.endsWith('arpa') ? 'PTR' : 'A')),
      );
      return answers.map(({ status }) => status);
    };
    await world.namespaceGuest('passing', { network: 'lab', ip: '192.168.77.20', configure: true });
    const call = { params: { name: 'passing' }, body: {} };
    await until('the names to come', 5000, async () => (await statuses()).every((status) => status === 'NOERROR'));
    await world.api.call('detachGuest', call);
    assert.deepEqual(
      await statuses(),
      names.map(() => 'NXDOMAIN'),
    );
  });

  describe("the host's files", () => {
    test('/etc/hosts holds, and its changes are followed', async () => {
      await writeFile(
        hostsFile,
        '127.0.0.1 localhost\n192.0.2.77 printer.corp.test printer\n2001:db8::77 printer.corp.test\n',
      );
      await until(
        'the new name',
        FOLLOW_MS,
        async () => (await dig(alice, GATEWAY, 'printer.corp.test')).status === 'NOERROR',
      );
      assert.deepEqual(data(await dig(alice, GATEWAY, 'printer.corp.test')), ['192.0.2.77']);
      assert.deepEqual(data(await dig(alice, GATEWAY, 'printer.corp.test', 'AAAA')), ['2001:db8::77']);
      await writeFile(hostsFile, '127.0.0.1 localhost\n192.0.2.78 printer.corp.test\n');
      await until(
        'the new address',
        FOLLOW_MS,
        async () => data(await dig(alice, GATEWAY, 'printer.corp.test'))[0] === '192.0.2.78',
      );
      await writeFile(hostsFile, '127.0.0.1 localhost\n');
      await until(
        'the name to go',
        FOLLOW_MS,
        async () => (await dig(alice, GATEWAY, 'printer.corp.test')).status === 'NXDOMAIN',
      );
    });

    test('resolv.conf holds, and its changes are followed', async () => {
      const { lab } = world;
      await using _stub = await dnsmasq(lab.host, [
        '--listen-address=127.0.0.53',
        '--local=/test/',
        '--address=/web.test/203.0.113.200',
      ]);
      await lab.host.setResolver(['127.0.0.53']);
      await until(
        'the new resolver',
        FOLLOW_MS,
        async () => data(await dig(alice, GATEWAY, 'web.test'))[0] === '203.0.113.200',
      );
      // Nobody answers there: an error, in the time that a guest's own resolver waits.
      await lab.host.setResolver([INTERNET.silent4]);
      await until(
        'SERVFAIL',
        FOLLOW_MS,
        async () => (await dig(alice, GATEWAY, '+time=9', 'other.test')).status === 'SERVFAIL',
      );
      await lab.host.setResolver([INTERNET.resolver4]);
      await until(
        'the old resolver',
        FOLLOW_MS,
        async () => data(await dig(alice, GATEWAY, 'web.test'))[0] === INTERNET.server4,
      );
    });
  });

  test('local names never leave the host', async () => {
    const names = [
      'secret-1.lab.internal',
      'a.b.secret-2.vmlan.internal',
      'lima-secret-3.internal',
      'host.lima.internal',
      'secret-4',
      '123.77.168.192.in-addr.arpa',
      '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.7.7.d.f.ip6.arpa',
      'localhost',
      'secret-5.localhost',
      'secret-6.local',
      '1.0.254.169.in-addr.arpa',
    ];
    for (const name of names) for (const type of ['A', 'AAAA', 'PTR', 'TXT']) await dig(alice, GATEWAY, name, type);
    await dig(alice, GATEWAY, 'last-of-all.test');
    await world.upstream.waitFor(/last-of-all\.test/);
    const leaked = names.filter((name) =>
      new RegExp(`query\\[\\w+\\] ${name.replaceAll('.', '\\.')} `).test(world.upstream.stdout),
    );
    assert.deepEqual(leaked, []);
    assert.doesNotMatch(world.upstream.stdout, /secret/);
  });

  test(`${LOAD.perSecond} queries a second lose none`, async () => {
    const queries = [
      'alice.lab.internal A',
      `${NAME} AAAA`,
      'web.test A',
      'four.test A',
      'nobody.lab.internal A',
      'alias.test A',
    ];
    const { sent, completed, lost, codes } = await dnsperf(alice, GATEWAY, { queries, ...LOAD });
    assert.ok(sent >= LOAD.perSecond * LOAD.seconds * 0.95, `${sent} sent`);
    assert.deepEqual([completed, lost], [sent, 0]);
    assert.deepEqual(Object.keys(codes).sort(), ['NOERROR', 'NXDOMAIN']);
  });
});
