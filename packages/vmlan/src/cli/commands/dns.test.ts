import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { stubbedCli } from '../stubbed-cli.fixture.ts';

const cli = stubbedCli();
const { ask, ok } = cli;

describe('dns', () => {
  const record = { network: 'lab', ttl: 60, origin: 'api' } as const;
  const records = [
    { id: 'r1', name: 'www.lab.internal', type: 'CNAME', value: 'web.lab.internal.', ...record },
    { id: 'r2', name: 'web.lab.internal', type: 'A', value: '192.168.105.5', ...record, origin: 'guest' as const },
    { id: 'r3', name: 'web.lab.internal', type: 'TXT', value: '"hello"', ...record },
    { id: 'r4', name: 'loop.lab.internal', type: 'CNAME', value: 'loop.lab.internal', ...record },
    { id: 'r5', name: 'out.lab.internal', type: 'CNAME', value: 'no-such-name.invalid', ...record },
  ];
  beforeEach(() => {
    cli.daemon.records = [...records];
  });

  test('list', async () => {
    assert.equal(await ok('dns list -q'), 'r1\nr2\nr3\nr4\nr5\n');
    assert.match(await ok('dns list'), /^r2 +web\.lab\.internal +60 +A +192\.168\.105\.5 +lab +guest$/m);
  });

  test('a query follows aliases', async () => {
    assert.equal(await ok('dns query WWW.lab.internal. -q'), 'web.lab.internal.\n192.168.105.5\n');
    assert.equal(await ok('dns query web.lab.internal txt -q'), '"hello"\n');
    assert.equal(await ok('dns query www.lab.internal CNAME -q'), 'web.lab.internal.\n');
    assert.equal(await ok('dns query out.lab.internal -q'), 'no-such-name.invalid\n');
    assert.match(await ok('dns query web.lab.internal'), /^web\.lab\.internal +A +192\.168\.105\.5 +vmlan$/m);
  });

  test('a query that has no answer', async () => {
    assert.match((await ask('dns query web.lab.internal AAAA')).stderr, /exists and has no AAAA record/);
    assert.match((await ask('dns query loop.lab.internal')).stderr, /more than 8 aliases/);
    assert.match((await ask('dns query elsewhere.invalid HTTPS')).stderr, /cannot be asked for HTTPS/);
    assert.ok([1, 3].includes((await ask('dns query elsewhere.invalid')).code));
  });

  test('a query is one to the networks that run, as of a guest', async () => {
    const answer = { name: 'web.vmlan.internal', type: 'A', ttl: 5, value: '192.168.105.5' };
    cli.daemon.lookup = { status: 'NOERROR', authoritative: true, answers: [answer] };
    assert.match(await ok('dns query web.vmlan.internal'), /^web\.vmlan\.internal +A +192\.168\.105\.5 +vmlan$/m);
    cli.daemon.lookup = { ...cli.daemon.lookup, authoritative: false };
    assert.match(await ok('dns query web.vmlan.internal --network lab'), /192\.168\.105\.5 +host$/m);
    const wrong = [
      ['NXDOMAIN', 'dns query wbe', 3, /^vmlan: wbe A: no such name\nhint: .*vmlan dns list\n$/],
      ['NXDOMAIN', 'dns query 10.1.2.3', 3, /^vmlan: 10\.1\.2\.3 PTR: no such name\n/],
      ['NOERROR', 'dns query web aaaa', 3, /^vmlan: web exists and has no AAAA record\n/],
      ['SERVFAIL', 'dns query example.com', 1, /the DNS of network "lab" answers SERVFAIL\nhint: .*vmlan logs lab\n$/],
    ] as const;
    for (const [status, line, code, message] of wrong) {
      cli.daemon.lookup = { status, authoritative: true, answers: [] };
      const ran = await ask(line);
      assert.equal(ran.code, code, line);
      assert.match(ran.stderr, message);
    }
  });

  test('remove by identifier, or by name what was added', async () => {
    assert.equal(await ok('dns remove r1'), 'www.lab.internal CNAME web.lab.internal. removed\n');
    assert.equal(await ok('dns rm Web.lab.internal'), 'web.lab.internal TXT "hello" removed\n');
    assert.deepEqual(cli.daemon.changes, ['deleteRecord {"id":"r1"} {}', 'deleteRecord {"id":"r3"} {}']);
  });
});
