/**
 * Pages in the user's browser, against the API on loopback: of another origin, of another port of this host, and of a name
 * that its owner makes lead to this host (DNS rebinding). None reads or changes anything, not even with the token. The same
 * page gets through to a server that checks nothing, so that it is known to be dangerous.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromium, type Browser } from 'playwright-core';
import type { RecordView, StatusView, TokenView } from '../../src/model/api.ts';
import { missing } from '../support/needs.ts';
import { Vmlan } from '../support/vmlan.ts';

const CONFIG = 'networks:\n  lab: { mode: user-v2, subnet: 192.168.77.0/24, autostart: true }\n';
/** What only the API can tell. */
const SECRET = /192\.168\.77\.0|"pid"|user-v2/;
const ATTACK = await readFile(join(import.meta.dirname, '../browser/attack.html'), 'utf8');
const BROWSER = 'chromium';

type Found = Readonly<Record<string, string>>;

/** An API that believes everybody, and what was done to it. */
async function naiveServer(): Promise<{ server: Server; port: number; changes: string[] }> {
  const changes: string[] = [];
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'OPTIONS') changes.push(`${request.method} ${request.url}`);
    response.setHeader('content-type', 'application/json').end('{"subnet":"192.168.77.0/24"}');
  });
  return { server, port: await listening(server), changes };
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('a page in a browser', { skip: missing(BROWSER) }, () => {
  let vmlan: Vmlan;
  let browser: Browser;
  let api: { readonly port: number; readonly token: string };
  const pages = createServer((_request, response) => response.setHeader('content-type', 'text/html').end(ATTACK));
  let pagesPort = 0;

  before(async () => {
    vmlan = await Vmlan.create({ config: CONFIG });
    await vmlan.ok('up', '--listen', '127.0.0.1:0');
    await vmlan.ok('attach', 'web', '--network', 'lab');
    const { token, address } = await vmlan.json<TokenView>('token');
    api = { token, port: Number(new URL(address!).port) };
    pagesPort = await listening(pages);
    // The names of the page's owner lead here, as they would once his name server says so.
    const args = [
      '--no-sandbox',
      '--host-resolver-rules=MAP *.test 127.0.0.1',
      '--disable-features=LocalNetworkAccessChecks', // not every browser guards loopback by itself
    ];
    browser = await chromium.launch({ executablePath: `/usr/bin/${BROWSER}`, args });
  });
  after(async () => {
    await browser.close();
    pages.close().closeAllConnections();
    await vmlan[Symbol.asyncDispose]();
  });

  /** Opens the page at an address, wherever that leads, and lets it ask `base`. */
  async function attack(address: string, base: string): Promise<Found> {
    const page = await browser.newPage();
    try {
      await page.route(address, (route) => route.fulfill({ contentType: 'text/html', body: ATTACK }));
      await page.goto(address);
      return await page.evaluate<Found>(`attack(${JSON.stringify(base)}, ${JSON.stringify(api.token)})`);
    } finally {
      await page.close();
    }
  }

  /** All that a page would like to change, as the owner sees it. */
  async function stateOf(): Promise<unknown> {
    const { pid, networks, guests } = await vmlan.json<StatusView & Readonly<Record<string, unknown>>>('status');
    const records = await vmlan.json<RecordView[]>('dns', 'list');
    return { pid, lab: networks.find(({ name }) => name === 'lab')?.state, guests, records };
  }

  const refusals = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${api.port}/metrics`, bearer())).text();
    const lines = [...text.matchAll(/^vmlan_api_refused_total\{.*\} (\d+)$/gm)];
    assert.ok(lines.length > 0, text);
    return lines.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const bearer = (): RequestInit => ({ headers: { authorization: `Bearer ${api.token}` } });

  const origins: readonly [who: string, page: (port: number) => string, base: (port: number) => string][] = [
    ['of another origin', () => `http://evil.test:${pagesPort}/`, (port) => `http://127.0.0.1:${port}`],
    ['of another origin, by name', () => `http://evil.test:${pagesPort}/`, (port) => `http://localhost:${port}`],
    ['of another port of this host', () => `http://127.0.0.1:${pagesPort}/`, (port) => `http://127.0.0.1:${port}`],
    ['of a rebound name', (port) => `http://rebound.test:${port}/page`, (port) => `http://rebound.test:${port}`],
  ];

  for (const [who, page, base] of origins) {
    test(`${who} reads and changes nothing`, async () => {
      const [before, refused] = [await stateOf(), await refusals()];
      const found = await attack(page(api.port), base(api.port));
      for (const [way, text] of Object.entries(found)) assert.doesNotMatch(text, SECRET, way);
      for (const way of ['script', 'events', 'socket']) assert.equal(found[way], 'failed', way);
      assert.deepEqual(await stateOf(), before);
      assert.ok((await refusals()) > refused, 'its requests came as far as the API');
    });

    test(`${who} is dangerous to a server that checks nothing`, async () => {
      const naive = await naiveServer();
      const found = await attack(page(naive.port), base(naive.port));
      naive.server.close().closeAllConnections();
      const changed = ['POST /v1/records', 'POST /v1/networks/lab/stop', 'POST /v1/shutdown'];
      for (const change of changed) assert.ok(naive.changes.includes(change), change);
      if (who === 'of a rebound name') assert.match(found['read']!, SECRET);
    });
  }

  test('an address bar shows nothing but the refusal', async () => {
    const page = await browser.newPage();
    for (const host of ['127.0.0.1', 'localhost', 'rebound.test']) {
      const response = await page.goto(`http://${host}:${api.port}/v1/status`);
      assert.equal(response!.status(), host === 'rebound.test' ? 421 : 401);
      assert.doesNotMatch(await page.content(), SECRET);
    }
    await page.close();
  });
});
