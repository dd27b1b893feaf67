import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { FakeDriver } from '../drivers/fake/driver.ts';
import type { Observed } from '../drivers/driver.ts';
import { healthViewSchema } from '../model/api.ts';
import { CONFIG, TestDaemon } from './daemon.fixture.ts';
import { rawRequest } from './raw-request.fixture.ts';

/** Whose networks tell of troubles as it is told, and counts who asks. */
class TroubledDriver extends FakeDriver {
  asked = 0;
  change: (observed: Observed) => Observed = (observed) => observed;

  override async observe(network: string): Promise<Observed> {
    this.asked++;
    return this.change(await super.observe(network));
  }
}

async function start(config = CONFIG): Promise<TestDaemon<TroubledDriver>> {
  const daemon = new TestDaemon(new TroubledDriver());
  daemon.configure(config);
  await daemon.start();
  return daemon;
}

interface Answer {
  readonly status: number;
  readonly problems: readonly object[];
}

async function healthOf(daemon: TestDaemon<TroubledDriver>): Promise<Answer> {
  const { status, body, headers } = await rawRequest({ path: daemon.paths.socket }, { path: '/healthz' });
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  const view = healthViewSchema.parse(JSON.parse(body));
  assert.equal(view.status, status === 200 ? 'ok' : 'broken');
  assert.deepEqual((await daemon.client.call('status')).problems, view.problems, 'the status says the same');
  return { status, problems: view.problems };
}

const WELL: Answer = { status: 200, problems: [] };

describe('all is well', () => {
  test('when nothing is to run, and when all that is does', async () => {
    await using daemon = await start();
    assert.deepEqual(await healthOf(daemon), WELL);
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    assert.deepEqual(await healthOf(daemon), WELL);
    await daemon.client.call('stopNetwork', { params: { name: 'lab' } });
    assert.deepEqual(await healthOf(daemon), WELL);
  });

  test('when somebody tried what cannot be', async () => {
    await using daemon = await start();
    await assert.rejects(daemon.client.call('startNetwork', { params: { name: 'lan' } }));
    assert.deepEqual(await healthOf(daemon), WELL, 'they were told');
  });
});

describe('something is broken', () => {
  test('when a network ended and does not come back', async () => {
    await using daemon = await start();
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    for (let i = 0; i < 3; i++) daemon.driver.refuse('start', new VmlanError('unavailable', 'no memory'));
    daemon.driver.crash('lab');
    const { status, problems } = await healthOf(daemon);
    assert.equal(status, 503);
    assert.partialDeepStrictEqual(problems, [{ network: 'lab', part: null, code: 'unavailable' }]);
  });

  test('when a network that starts by itself could not', async () => {
    await using daemon = await start('networks: { lan: { mode: bridged, interface: eth0, autostart: true } }');
    const { status, problems } = await healthOf(daemon);
    assert.equal(status, 503);
    assert.partialDeepStrictEqual(problems, [{ network: 'lan', code: 'unsupported' }]);
    await daemon.client.call('stopNetwork', { params: { name: 'lan' } });
    assert.deepEqual(await healthOf(daemon), WELL, 'it was given up');
  });

  test('when a part is missing', async () => {
    await using daemon = await start();
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    daemon.driver.refuse('add-forward', new VmlanError('address-in-use', '8080 is in use', { hint: 'choose another' }));
    daemon.driver.crash('lab');
    const after = daemon.client.events({ network: 'lab', after: '0' });
    for await (const { message } of after) if (message.endsWith('started again')) break;
    const { status, problems } = await healthOf(daemon);
    assert.equal(status, 503);
    assert.partialDeepStrictEqual(problems, [
      { network: 'lab', code: 'address-in-use', detail: '8080 is in use', hint: 'choose another' },
    ]);
    assert.match((problems as { part: string }[])[0]!.part, /forward/);
  });

  test('when a network process does not answer, cannot store leases, or cannot be asked', async () => {
    await using daemon = await start();
    await daemon.client.call('startNetwork', { params: { name: 'lab' } });
    const { driver } = daemon;
    driver.change = (observed) => ({ ...observed, trouble: { code: 'timeout', message: 'no answer' } });
    assert.deepEqual(await healthOf(daemon), {
      status: 503,
      problems: [{ network: 'lab', part: null, code: 'timeout', detail: 'no answer' }],
    });
    driver.change = (observed) => ({ ...observed, warnings: ['leases cannot be stored: ENOSPC'] });
    assert.partialDeepStrictEqual(await healthOf(daemon), {
      status: 503,
      problems: [{ network: 'lab', code: 'unavailable', detail: 'leases cannot be stored: ENOSPC' }],
    });
    driver.change = () => {
      throw new Error('broken pipe');
    };
    assert.partialDeepStrictEqual((await healthOf(daemon)).problems, [{ detail: 'network "lab" does not run' }]);
    driver.change = (observed) => observed;
    assert.deepEqual(await healthOf(daemon), WELL);
  });
});

test('the client takes the answer as one, whatever its status', async () => {
  await using daemon = await start('networks: { lan: { mode: bridged, interface: eth0, autostart: true } }');
  assert.partialDeepStrictEqual(await daemon.client.call('health'), {
    status: 'broken',
    problems: [{ network: 'lan' }],
  });
});

test('many who ask at once are one question to a network', async () => {
  await using daemon = await start();
  await daemon.client.call('startNetwork', { params: { name: 'lab' } });
  const gate = Promise.withResolvers<void>();
  const { driver } = daemon;
  const plain = driver.observe.bind(driver);
  driver.observe = async (network) => {
    await gate.promise;
    return plain(network);
  };
  driver.asked = 0;
  const answers = Array.from({ length: 50 }, () => daemon.client.call('health'));
  await daemon.client.call('getToken'); // by now the others have come in
  gate.resolve();
  assert.equal(new Set((await Promise.all(answers)).map(({ status }) => status)).size, 1);
  assert.ok(driver.asked < 10, `${driver.asked} questions`);
});

test('what docs/metrics.md tells is what is served', async () => {
  const page = readFileSync(new URL('../../../../docs/metrics.md', import.meta.url), 'utf8');
  await using daemon = await start();
  const { body } = await rawRequest({ path: daemon.paths.socket }, { path: '/metrics' });
  const told = Array.from(page.matchAll(/^\| `(\w+)` +\| (gauge|counter) /gm), ([, name, type]) => `${name} ${type}`);
  const served = Array.from(body.matchAll(/^# TYPE (\w+) (\w+)$/gm), ([, name, type]) => `${name} ${type}`);
  assert.deepEqual(served, told);
});
