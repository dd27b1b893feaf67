import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { VmlanError } from '../core/errors.ts';
import { Arena } from '../core/arena.ts';
import { EACCES, EAGAIN, EBUSY, EINVAL, EIO, ENOENT, EPERM } from './constants.ts';
import { openLibc } from './libc.ts';
import type { Sys } from './sys.ts';
import { openTap, segmentUdp, VNET_HDR_LEN } from './tap.ts';

/** A table where every call succeeds but the ones told to fail; keeps the ioctls it saw. */
function scripted(fails: { open?: number; ioctl?: Record<number, number> }): {
  sys: Sys;
  seen: number[];
  closed: number[];
} {
  const seen: number[] = [];
  const closed: number[] = [];
  const sys = {
    arena: new Arena(new ArrayBuffer(4096)),
    open: () => (fails.open === undefined ? 7 : -fails.open),
    ioctl: (_fd: number, request: number, _off: number, value: number) => {
      seen.push(request === TUNSETOFFLOAD ? value : request);
      const errno = fails.ioctl?.[request];
      return errno === undefined || (request === TUNSETOFFLOAD && value < 0x20) ? 0 : -errno;
    },
    close: (fd: number) => closed.push(fd),
  };
  return { sys: sys as unknown as Sys, seen, closed };
}

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;
const SIOCSIFHWADDR = 0x8924;
const MAC = '02:00:00:00:00:01';

describe('errors name the cause and the fix', () => {
  const table: { name: string; fails: Parameters<typeof scripted>[0]; code: string; text: RegExp; hint?: RegExp }[] = [
    { name: 'no device', fails: { open: ENOENT }, code: 'unsupported', text: /missing/, hint: /modprobe tun/ },
    { name: 'device closed to us', fails: { open: EACCES }, code: 'not-permitted', text: /may not/, hint: /chmod 666/ },
    { name: 'device in trouble', fails: { open: EIO }, code: 'unavailable', text: /errno 5/ },
    { name: 'name taken', fails: { ioctl: { [TUNSETIFF]: EBUSY } }, code: 'conflict', text: /"tap9" exists already/ },
    { name: 'no capability', fails: { ioctl: { [TUNSETIFF]: EPERM } }, code: 'not-permitted', text: /CAP_NET_ADMIN/ },
    { name: 'odd failure', fails: { ioctl: { [TUNSETIFF]: EIO } }, code: 'unavailable', text: /creating .* errno 5/ },
    { name: 'header size', fails: { ioctl: { [TUNSETVNETHDRSZ]: EIO } }, code: 'unavailable', text: /VNETHDRSZ/ },
    { name: 'address', fails: { ioctl: { [SIOCSIFHWADDR]: EIO } }, code: 'unavailable', text: /MAC address/ },
  ];
  for (const { name, fails, code, text, hint } of table) {
    test(name, () => {
      const { sys, closed } = scripted(fails);
      assert.throws(
        () => openTap(sys, { name: 'tap9', mac: MAC }),
        (error: unknown) =>
          error instanceof VmlanError &&
          error.code === code &&
          text.test(error.message) &&
          (hint?.test(error.hint ?? '') ?? true),
      );
      assert.deepEqual(closed, fails.open === undefined ? [7] : []);
    });
  }
});

test('a name that is too long and a MAC that is none are refused', () => {
  const { sys, closed } = scripted({});
  assert.throws(() => openTap(sys, { name: 'x'.repeat(16), mac: MAC }), /1 to 15 bytes/);
  assert.throws(() => openTap(sys, { name: 'tap9', mac: 'zz:0:0:0:0:1' }), /not a MAC/);
  assert.deepEqual(closed, [7, 7]);
});

test('UDP segmentation is asked for, and may be refused', () => {
  const table = scripted({});
  assert.equal(segmentUdp(table.sys, 7), true);
  assert.deepEqual(table.seen, [0x6f]);
  assert.equal(segmentUdp(scripted({ ioctl: { [TUNSETOFFLOAD]: EINVAL } }).sys, 7), false);
});

/** Why a real interface cannot be made here; false when it can. */
function obstacle(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    return false;
  } catch {
    return 'needs /dev/net/tun';
  }
}

describe('a real interface', { skip: obstacle() }, () => {
  const name = `vmlt${process.pid % 100000}`;
  const sys = openLibc({ arenaBytes: 1 << 18 });
  let fd = -1;
  before(() => {
    fd = openTap(sys, { name, mac: '02:00:5e:00:53:01' });
  });
  after(() => sys.close(fd));

  test('has its MAC address and does not block', () => {
    assert.equal(readFileSync(`/sys/class/net/${name}/address`, 'utf8').trim(), '02:00:5e:00:53:01');
    const buffer = sys.arena.alloc(4096);
    assert.equal(sys.write(fd, buffer, VNET_HDR_LEN + 60), -EIO, 'an interface that is down takes nothing');
    assert.equal(sys.read(fd, buffer, 4096), -EAGAIN);
  });

  test('is not joined by a second one of its name', () => {
    assert.throws(() => openTap(sys, { name, mac: MAC }), /exists already/);
  });

  test('goes when its descriptor is closed', () => {
    const other = `${name}b`;
    sys.close(openTap(sys, { name: other, mac: MAC }));
    assert.equal(existsSync(`/sys/class/net/${other}`), false);
  });
});
