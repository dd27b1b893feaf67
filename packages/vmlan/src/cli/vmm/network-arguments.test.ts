import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttachKind, AttachResult } from '../../model/api.ts';
import { qemuNetworkArguments, reconnectWarning, socketText, vfkitNetworkArguments } from './network-arguments.ts';
import { parseQemuVersion } from './qemu-version.ts';

const MAC = '52:54:00:12:34:56';

function attached(kind: AttachKind, more: Partial<AttachResult> = {}): AttachResult {
  return {
    guest: 'web',
    nic: 'web/0',
    network: 'lab',
    kind,
    mac: MAC,
    mtu: 65_520,
    socket: { unix: '/run/v/web.sock' },
    localSocket: '/run/v/web.peer',
    interface: null,
    address4: null,
    prefix4: null,
    gateway4: null,
    dns: null,
    gateway6: null,
    prefix6: null,
    searchDomains: [],
    ...more,
  };
}

const DEVICE = ['-device', `virtio-net-pci,netdev=vmlan0,mac=${MAC},host_mtu=65520`];
const STREAM = 'stream,id=vmlan0,server=off,addr.type=unix,addr.path=/run/v/web.sock';
const TCP = { socket: { host: '127.0.0.1', port: 4000 } };

test('QEMU, by kind and version', () => {
  const table: {
    kind: AttachKind;
    version: string | null;
    more?: Partial<AttachResult>;
    want: string;
    warns: boolean;
  }[] = [
    { kind: 'qemu-stream', version: '7.2', want: STREAM, warns: true },
    { kind: 'qemu-stream', version: '8.0', want: `${STREAM},reconnect=1`, warns: false },
    { kind: 'qemu-stream', version: '9.1', want: `${STREAM},reconnect=1`, warns: false },
    { kind: 'qemu-stream', version: '9.2', want: `${STREAM},reconnect-ms=200`, warns: false },
    { kind: 'qemu-stream', version: '10.1', want: `${STREAM},reconnect-ms=200`, warns: false },
    { kind: 'qemu-stream', version: null, want: STREAM, warns: true },
    {
      kind: 'qemu-stream',
      version: '9.2',
      more: { socket: { unix: '/run/a,b/s' } },
      want: 'stream,id=vmlan0,server=off,addr.type=unix,addr.path=/run/a,,b/s,reconnect-ms=200',
      warns: false,
    },
    {
      kind: 'qemu-dgram',
      version: '7.2',
      want: 'dgram,id=vmlan0,local.type=unix,local.path=/run/v/web.peer,remote.type=unix,remote.path=/run/v/web.sock',
      warns: false,
    },
    {
      kind: 'qemu-socket-tcp',
      version: '9.2',
      more: TCP,
      want: 'socket,id=vmlan0,connect=127.0.0.1:4000',
      warns: true,
    },
    {
      kind: 'qemu-socket-tcp',
      version: '4.0',
      more: { socket: { host: '::1', port: 4000 } },
      want: 'socket,id=vmlan0,connect=[::1]:4000',
      warns: true,
    },
  ];
  for (const { kind, version, more = {}, want, warns } of table) {
    const parsed = version === null ? null : parseQemuVersion(version);
    assert.deepEqual(
      qemuNetworkArguments(attached(kind, more), parsed),
      ['-netdev', want, ...DEVICE],
      `${kind} ${version}`,
    );
    assert.equal(reconnectWarning(attached(kind, more), parsed) !== null, warns, `${kind} ${version}`);
  }
});

test('vfkit', () => {
  assert.deepEqual(vfkitNetworkArguments(attached('vfkit')), [
    '--device',
    `virtio-net,unixSocketPath=/run/v/web.sock,mac=${MAC}`,
  ]);
});

test('a daemon that gives another socket than the kind has is caught', () => {
  assert.throws(() => qemuNetworkArguments(attached('qemu-stream', TCP), null), /no unix socket/);
  assert.throws(() => qemuNetworkArguments(attached('qemu-socket-tcp'), null), /no TCP address/);
  assert.throws(() => qemuNetworkArguments(attached('netns', { socket: null }), null), /no QEMU arguments/);
});

test('the socket as text', () => {
  assert.equal(socketText(attached('qemu-stream')), '/run/v/web.sock');
  assert.equal(socketText(attached('qemu-socket-tcp', TCP)), '127.0.0.1:4000');
  assert.equal(socketText(attached('netns', { socket: null })), null);
});
