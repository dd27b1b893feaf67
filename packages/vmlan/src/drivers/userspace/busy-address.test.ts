import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { VmlanError } from '../../core/errors.ts';
import type { LiveStep } from './protocol.ts';
import { nameOwner } from './busy-address.ts';

const directory = mkdtempSync('/tmp/vmlan-busy-');
after(() => rmSync(directory, { recursive: true }));
const busy = new VmlanError('address-in-use', 'it is in use');
const mine = new RegExp(`^it is in use, held by node \\(pid ${process.pid}\\)$`);

const messageOf = (step: LiveStep, error: unknown = busy): string => (nameOwner(error, step) as Error).message;

test('the owner of a port, or of a path, is named', async () => {
  const tcp = createServer();
  const unix = createServer();
  const path = join(directory, 'a.sock');
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => unix.listen(path, resolve));
  const address = { host: '127.0.0.1', port: (tcp.address() as AddressInfo).port };
  const forward = { id: 'f', protocol: 'tcp', direction: 'host', listen: address, target: address } as const;
  assert.match(messageOf({ action: 'add-forward', forward }), mine);
  assert.match(
    messageOf({ action: 'add-link', link: { id: 'l', link: { kind: 'stream-listen', address, nic: null } } }),
    mine,
  );
  assert.match(
    messageOf({ action: 'add-link', link: { id: 'l', link: { kind: 'dgram', path, peer: null, nic: null } } }),
    mine,
  );
  tcp.close();
  unix.close();
});

test('other errors, and owners that cannot be seen, stay as they are', () => {
  const link = { id: 'l', link: { kind: 'dgram', path: join(directory, 'none'), peer: null, nic: null } } as const;
  assert.equal(nameOwner(busy, { action: 'add-link', link }), busy);
  assert.equal(nameOwner(busy, { action: 'remove-link', link }), busy);
  const connect = { id: 'l', link: { kind: 'stream-connect', address: { unix: '/x' }, nic: null } } as const;
  assert.equal(nameOwner(busy, { action: 'add-link', link: connect }), busy);
  const other = new VmlanError('invalid', 'no');
  assert.equal(nameOwner(other, { action: 'add-link', link }), other);
});
