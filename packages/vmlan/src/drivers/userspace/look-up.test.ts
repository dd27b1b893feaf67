import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmlanError } from '../../core/errors.ts';
import { RCODE } from '../../wire/dns.ts';
import { makeReply } from '../../wire/dns.fixture.ts';
import { parseMessage } from '../../wire/dns-message.ts';
import { nameText } from '../../wire/dns-name.ts';
import { makeQuestion, readLookup } from './look-up.ts';

describe('a question', () => {
  const cases: readonly (readonly [name: string, type: string, asked: string, number: number])[] = [
    ['web.lab.internal', 'A', 'web.lab.internal', 1],
    ['web', 'aaaa', 'web', 28],
    ['x.test', 'TYPE65280', 'x.test', 65_280],
    ['10.61.0.10', 'PTR', '10.0.61.10.in-addr.arpa', 12],
    ['fd00::1', 'PTR', `1.${'0.'.repeat(29)}d.f.ip6.arpa`, 12],
  ];
  for (const [name, type, asked, number] of cases) {
    test(`${name} ${type}`, () => {
      const question = parseMessage(makeQuestion(name, type))!.questions[0]!;
      assert.deepEqual([nameText(question.name).slice(0, -1), question.type, question.class], [asked, number, 1]);
    });
  }

  test('that makes no sense', () => {
    for (const [name, type] of [
      ['a..b', 'A'],
      [`${'x'.repeat(64)}.test`, 'A'],
      ['a.test', 'NOPE'],
      ['a.test', 'OPT'],
      ['a.test', 'TYPE65536'],
    ] as const) {
      assert.throws(
        () => makeQuestion(name, type),
        (error) => error instanceof VmlanError && error.code === 'invalid',
        `${name} ${type}`,
      );
    }
  });
});

describe('an answer', () => {
  const query = makeQuestion('www.lab.internal', 'A');

  test('with its records as text', () => {
    const records = ['www.lab.internal CNAME 5 web.lab.internal', 'web.lab.internal A 5 10.61.0.2'];
    assert.deepEqual(readLookup(makeReply(query, records)), {
      status: 'NOERROR',
      authoritative: false,
      answers: [
        { name: 'www.lab.internal', type: 'CNAME', ttl: 5, value: 'web.lab.internal.' },
        { name: 'web.lab.internal', type: 'A', ttl: 5, value: '10.61.0.2' },
      ],
    });
  });

  test('without', () => {
    const nothing = { authoritative: false, answers: [] };
    assert.deepEqual(readLookup(makeReply(query, [], { rcode: RCODE.NXDOMAIN })), { status: 'NXDOMAIN', ...nothing });
    assert.deepEqual(readLookup(makeReply(query, [], { rcode: 9 })), { status: 'RCODE9', ...nothing });
    assert.deepEqual(readLookup(null), { status: 'SERVFAIL', ...nothing });
    assert.deepEqual(readLookup(Uint8Array.of(1, 2, 3)), { status: 'SERVFAIL', ...nothing });
  });
});
