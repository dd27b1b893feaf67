import assert from 'node:assert/strict';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { TestDaemon, problem } from './daemon.fixture.ts';
import { FILE, LAB, names, textOf } from './network-configs.fixture.ts';

describe('the file', () => {
  test('edited by hand is loaded when asked, and a broken one changes nothing', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('startNetwork', LAB);
    await client.call('startNetwork', { params: { name: 'cut' } });
    daemon.configure(FILE.replace('mode: shared', 'mode: shard'));
    await assert.rejects(client.call('reloadConfig'), problem('invalid-config', /networks\.yaml:4:11/));
    assert.equal((await client.call('getNetwork', LAB)).state, 'running');
    daemon.configure(FILE.replace('host: 8080', 'host: 8090').replace('  cut:', '  other:'));
    const reload = await client.call('reloadConfig');
    assert.partialDeepStrictEqual(reload, { added: ['other'], removed: ['cut'], changed: ['lab'], restartNeeded: [] });
    assert.deepEqual(await daemon.driver.list(), ['lab']);
    const forwards = await client.call('listForwards', { query: { network: 'lab' } });
    assert.deepEqual(
      forwards.map(({ host }) => host),
      ['127.0.0.1:8090'],
    );
  });

  test('edited by hand meanwhile is kept by a change, and holds then', async () => {
    await using daemon = await TestDaemon.start(FILE);
    daemon.configure(`${FILE}  hand: { mode: isolated } # mine\n`);
    const change = await daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 } });
    assert.match(change.warnings.join(), /was edited by hand: what it says holds now, too/);
    assert.match(textOf(daemon), /hand: \{ mode: isolated \} # mine/);
    assert.ok((await names(daemon)).includes('hand'));
  });

  test('edited by hand makes a version that was read before too old', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { etag } = await daemon.client.callTagged('getNetworkConfig', LAB);
    daemon.configure(FILE.replace('# for tests', '# for more'));
    const call = daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 } }, { ifMatch: etag! });
    await assert.rejects(call, problem('precondition-failed', /network "lab"/));
  });

  test('that cannot be written changes nothing', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('startNetwork', LAB);
    const path = daemon.paths.config;
    renameSync(path, `${path}.old`);
    mkdirSync(join(path, 'x'), { recursive: true });
    const call = daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 9000 } });
    await assert.rejects(call, problem('invalid-config', /networks\.yaml cannot be read/));
    assert.equal((await daemon.client.call('getNetwork', LAB)).mtu, 1500);
  });

  test('a network that is deleted while it is to start does not run', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const { client } = daemon;
    await client.call('startNetwork', LAB);
    const results = await Promise.allSettled([
      client.call('deleteNetwork', LAB),
      client.call('attachGuest', { params: { name: 'web' }, body: { network: 'lab' } }),
      client.call('createForward', { body: { host: '9000', guest: 'web:80', network: 'lab' } }),
    ]);
    assert.ok(results.some(({ status }) => status === 'fulfilled'));
    const isThere = textOf(daemon).includes('lab:');
    assert.deepEqual(await daemon.driver.list(), isThere ? ['lab'] : []);
  });

  test('takes changes of many at once, one after the other', async () => {
    await using daemon = await TestDaemon.start(FILE);
    const bodies = Array.from({ length: 20 }, (_, i) => ({
      name: `net${i}`,
      config: { mode: 'shared' as const, subnet: `10.90.${i}.0/24` },
    }));
    await Promise.all(bodies.map((body) => daemon.client.call('createNetwork', { body })));
    const all = await names(daemon);
    assert.ok(bodies.every(({ name }) => all.includes(name)));
    await Promise.all(bodies.map(({ name }) => daemon.client.call('deleteNetwork', { params: { name } })));
    assert.equal(textOf(daemon), FILE);
  });
});

describe('a file that is edited by hand at the same moment', () => {
  const EDITED = `${FILE}  mine: { mode: isolated }\n`;

  /** The next time that the daemon asks what runs, it has read the file already. */
  function editInTheMiddle(daemon: TestDaemon, text: string): void {
    const { driver } = daemon;
    const list = driver.list.bind(driver);
    driver.list = () => {
      driver.list = list;
      daemon.configure(text);
      return list();
    };
  }

  test('is not written over by a change', async () => {
    await using daemon = await TestDaemon.start(FILE);
    editInTheMiddle(daemon, EDITED);
    const change = daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 1400 } });
    await assert.rejects(change, problem('conflict', /networks\.yaml was changed by hand/, /stays as it is/));
    assert.equal(textOf(daemon), EDITED);
    await daemon.client.call('updateNetwork', { ...LAB, body: { mtu: 1400 } });
    assert.match(textOf(daemon), /mtu: 1400[^]*mine:/);
  });

  test('nor by a reload, which may have read it half written', async () => {
    await using daemon = await TestDaemon.start(FILE);
    daemon.configure('');
    editInTheMiddle(daemon, EDITED);
    await daemon.client.call('reloadConfig');
    assert.equal(textOf(daemon), EDITED);
    await daemon.client.call('reloadConfig');
    assert.ok((await names(daemon)).includes('mine'));
  });

  test('nor when what was changed is taken back', async () => {
    await using daemon = await TestDaemon.start(FILE);
    await daemon.client.call('startNetwork', LAB);
    daemon.driver.refuse('add-forward', new VmlanError('address-in-use', 'port 9000 is in use'));
    const apply = daemon.driver.apply.bind(daemon.driver);
    daemon.driver.apply = (...args) => {
      daemon.configure(EDITED);
      return apply(...args);
    };
    const forwards = [{ host: '9000', guest: 'web:80' }];
    await assert.rejects(
      daemon.client.call('updateNetwork', { ...LAB, body: { forwards } }),
      problem('address-in-use', /9000/),
    );
    assert.equal(textOf(daemon), EDITED);
  });
});
