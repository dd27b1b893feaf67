import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { editYaml, editYamlBlock, isSameValue, yamlBlockAt } from './yaml-edit.ts';
import type { YamlPath } from './yaml-edit.ts';

const TEXT = `# head
networks:
  # the lab
  lab:   # trailing
    mode: shared   # why
    subnet: "10.0.0.0/24"
    dhcp: { reservations: [{ guest: db, ip: 10.0.0.10 }] }
    forwards:
    - { host: 80, guest: "web:80" }
    # note
    - host: 81
      guest: web:81   # last
    gateway:
  # before cut

  cut: {mode: isolated}

# end
`;

describe('a change', () => {
  const table: readonly (readonly [path: YamlPath, value: unknown, from: string, to: string])[] = [
    [['networks', 'lab', 'mtu'], 9000, '    gateway:\n', '    gateway:\n    mtu: 9000\n'],
    [['networks', 'lab', 'subnet'], '10.1.0.0/24', '"10.0.0.0/24"', '10.1.0.0/24'],
    [['networks', 'lab', 'mode'], 'host', 'shared   # why', 'host   # why'],
    [['networks', 'lab', 'mode'], undefined, '    mode: shared   # why\n', ''],
    [['networks', 'lab', 'gateway'], '10.0.0.1', 'gateway:', 'gateway: 10.0.0.1'],
    [['networks', 'lab', 'dhcp'], undefined, '    dhcp: { reservations: [{ guest: db, ip: 10.0.0.10 }] }\n', ''],
    [
      ['networks', 'lab', 'dhcp', 'reservations', 1],
      { guest: 'a', ip: '10.0.0.11' },
      '.10 }]',
      '.10 }, { guest: a, ip: 10.0.0.11 }]',
    ],
    [['networks', 'lab', 'dhcp', 'reservations', 0], undefined, '[{ guest: db, ip: 10.0.0.10 }]', '[]'],
    [['networks', 'lab', 'dhcp', 'reservations', 0, 'guest'], undefined, '{ guest: db, ip', '{ ip'],
    [['networks', 'lab', 'dhcp', 'reservations', 0, 'ip'], undefined, 'db, ip: 10.0.0.10 }', 'db }'],
    [['networks', 'lab', 'dhcp', 'leaseTime'], '2h', '.10 }] }', '.10 }], leaseTime: 2h }'],
    [['networks', 'lab', 'forwards', 0], undefined, '    - { host: 80, guest: "web:80" }\n', ''],
    [['networks', 'lab', 'forwards', 0, 'host'], 90, 'host: 80', 'host: 90'],
    [['networks', 'lab', 'forwards', 1], undefined, '    - host: 81\n      guest: web:81   # last\n', ''],
    [['networks', 'lab', 'forwards', 1, 'host'], undefined, '- host: 81\n      guest', '- guest'],
    [
      ['networks', 'lab', 'forwards', 2],
      { host: 82, guest: 'web:82' },
      'web:81   # last\n',
      'web:81   # last\n    - { host: 82, guest: web:82 }\n',
    ],
    [
      ['networks', 'lab', 'forwards', 0],
      { host: 1, guest: 'x:1' },
      '{ host: 80, guest: "web:80" }',
      '{ host: 1, guest: x:1 }',
    ],
    [['networks', 'cut', 'dns'], { domain: 'x.test' }, 'isolated}', 'isolated, dns: { domain: x.test }}'],
    [['networks', 'cut', 'mode'], undefined, '{mode: isolated}', '{}'],
    [['networks', 'cut'], undefined, '\n  cut: {mode: isolated}\n\n', '\n'],
    [
      ['networks', 'cut'],
      { mode: 'host', dns: { domain: 'a.b' } },
      ' {mode: isolated}',
      '\n    mode: host\n    dns:\n      domain: a.b',
    ],
    [['networks', 'lab', 'hostAccess'], [80, 443], '    gateway:\n', '    gateway:\n    hostAccess: [80, 443]\n'],
    [['networks', 'lab', 'filter'], 'a: b, [c] #d', '    gateway:\n', '    gateway:\n    filter: "a: b, [c] #d"\n'],
    [['networks', 'lab', 'mode'], { a: { b: 1 } }, 'mode: shared   # why\n', 'mode: # why\n      a:\n        b: 1\n'],
    [
      ['networks', 'new'],
      { mode: 'user', dns: { hosts: { 'a.b': ['1.2.3.4', 'fd00::1'] } } },
      'isolated}\n',
      'isolated}\n\n  new:\n    mode: user\n    dns:\n      hosts:\n        a.b: [1.2.3.4, fd00::1]\n',
    ],
    [['group'], 'vm', 'isolated}\n', 'isolated}\ngroup: vm\n'],
    [['networks', 'none'], undefined, '', ''],
    [['networks', 'none', 'deep'], undefined, '', ''],
  ];
  for (const [path, value, from, to] of table) {
    test(`${path.join('.')} = ${JSON.stringify(value)}`, () => {
      const edited = editYaml(TEXT, path, value);
      assert.equal(edited, TEXT.replace(from, to));
    });
  }

  test('of a list to a value takes the lines of the list', () => {
    assert.match(editYaml(TEXT, ['networks', 'lab', 'forwards'], 'all'), /\n {4}forwards: all\n {4}gateway:/);
    assert.match(editYaml(TEXT, ['networks', 'lab'], 5), /\n {2}lab: 5 # trailing\n {2}# before cut/);
  });

  const empty: readonly (readonly [from: string, to: string])[] = [
    ['', 'networks:\n  lab:\n    mode: user\n'],
    ['# only\n', '# only\nnetworks:\n  lab:\n    mode: user\n'],
    ['# without an end', '# without an end\nnetworks:\n  lab:\n    mode: user\n'],
    ['networks:\n', 'networks:\n  lab:\n    mode: user\n'],
    ['networks: {}\n', 'networks:\n  lab:\n    mode: user\n'],
    ['networks: # c\n', 'networks: # c\n  lab:\n    mode: user\n'],
    ['networks: ~\ngroup: x\n', 'networks:\n  lab:\n    mode: user\ngroup: x\n'],
    ['group: x', 'group: x\nnetworks:\n  lab:\n    mode: user\n'],
    ['{}\n', 'networks:\n  lab:\n    mode: user\n'],
    [
      '---\nnetworks:\n    a:\n        mode: host\n',
      '---\nnetworks:\n    a:\n        mode: host\n    lab:\n        mode: user\n',
    ],
    ['networks: {a: {mode: host}}', 'networks: {a: {mode: host}, lab: { mode: user }}'],
  ];
  for (const [from, to] of empty) {
    test(`in ${JSON.stringify(from)}`, () => {
      assert.equal(editYaml(from, ['networks', 'lab'], { mode: 'user' }), to);
    });
  }

  test('that anchors stand against is refused', () => {
    const text = 'networks:\n  a: &base\n    mode: user\n  b: *base\n';
    assert.throws(() => editYaml(text, ['networks', 'a', 'mode'], 'host'), /layout of the file/);
    assert.throws(() => editYaml(text, ['networks', 'a'], undefined), /layout of the file/);
    const edited = editYaml(text, ['networks', 'b', 'mtu'], 9000);
    assert.deepEqual(parse(edited), { networks: { a: { mode: 'user' }, b: { mode: 'user', mtu: 9000 } } });
  });
});

describe('a block', () => {
  test('goes out without its indentation, and comes back', () => {
    const block = yamlBlockAt(TEXT, ['networks', 'lab'])!;
    assert.match(block, /^mode: shared {3}# why\nsubnet/);
    assert.deepEqual(parse(block), (parse(TEXT) as { networks: { lab: unknown } }).networks.lab);
    assert.equal(editYamlBlock(TEXT, ['networks', 'lab'], block), TEXT.replace('lab:   #', 'lab: #'));
    assert.equal(yamlBlockAt(TEXT, ['networks', 'cut']), null);
    assert.equal(yamlBlockAt(TEXT, ['networks', 'none']), null);
  });

  test('has its own comments', () => {
    const edited = editYamlBlock(TEXT, ['networks', 'cut'], '# mine\nmode: host   # x\n\n');
    assert.equal(edited, TEXT.replace(' {mode: isolated}', '\n    # mine\n    mode: host   # x'));
  });

  test('that is broken breaks the whole, for whoever judges it', () => {
    assert.throws(() => void parse(editYamlBlock(TEXT, ['networks', 'cut'], 'mode: [\n')));
  });
});

/** Comments and keys in any order, as people write them. */
const key = fc.constantFrom('mode', 'subnet', 'mtu', 'dns', 'dhcp', 'forwards');
const scalar = fc.oneof(
  fc.constantFrom('shared', '10.0.0.0/24', 'a: b', '#x', 'yes', '', '- x', '{', '8080', 'null', "it's", '"q"'),
  fc.integer({ min: 0, max: 70_000 }),
  fc.boolean(),
);
const entry = fc.dictionary(fc.constantFrom('host', 'guest', 'ip'), scalar, { minKeys: 1, maxKeys: 3 });
const value = fc.oneof(
  scalar,
  fc.array(scalar, { minLength: 1, maxLength: 3 }),
  fc.array(entry, { minLength: 1, maxLength: 3 }),
  fc.dictionary(fc.constantFrom('range', 'domain', 'hosts'), fc.oneof(scalar, fc.array(entry, { maxLength: 2 })), {
    minKeys: 1,
  }),
);
const network = fc.constantFrom('lab', 'cut', 'new', 'other');
const edit = fc.oneof(
  fc.record({ path: fc.tuple(fc.constant('networks'), network, key), value: fc.oneof(value, fc.constant(undefined)) }),
  fc.record({
    path: fc.tuple(fc.constant('networks'), network, key, fc.constantFrom('range', 'domain')),
    value: scalar,
  }),
);

const commentsOf = (text: string): readonly string[] =>
  text.split('\n').flatMap((line) => /^\s*(# .*)$/.exec(line)?.[1] ?? []);

test('any sequence of changes can be read again, means what was wanted, and keeps every comment on a line of its own', () => {
  // Comments inside a list go with the list.
  const start = TEXT.replace('    # note\n', '');
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 12 }), (edits) => {
      let text = start;
      for (const { path, value: wanted } of edits) {
        const isMap = (parse(text) as Record<string, Record<string, Record<string, unknown>>>)['networks']?.[path[1]]?.[
          path[2]
        ];
        if (path.length === 4 && Array.isArray(isMap)) continue;
        text = editYaml(text, path, wanted);
        const found = path.reduce<unknown>(
          (node, step) => (node as Record<string, unknown> | undefined)?.[step],
          parse(text),
        );
        assert.ok(isSameValue(found, wanted), `${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
      }
      const left = new Set(commentsOf(text));
      for (const comment of commentsOf(start)) assert.ok(left.has(comment), `${comment} is lost in\n${text}`);
    }),
    { numRuns: 300 },
  );
});

test('no text makes it fail otherwise than by a reason', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      try {
        assert.deepEqual(
          (parse(editYaml(text, ['networks', 'lab', 'mtu'], 9000)) as { networks: { lab: object } }).networks.lab,
          { mtu: 9000 },
        );
      } catch (error) {
        assert.ok(error instanceof Error);
      }
    }),
  );
});
