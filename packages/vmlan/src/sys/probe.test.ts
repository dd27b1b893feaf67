import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EACCES, ENETUNREACH, ENFILE, SO_PEEK_OFF } from './constants.ts';
import { openLibc } from './libc.ts';
import { ipv6DefaultRoute, peekOffsetWorks, pingSocketWorks, udpGsoWorks } from './probe.ts';
import type { Sys } from './sys.ts';

const real = openLibc({ arenaBytes: 1 << 20 });
const openFds = (): number => readdirSync('/proc/self/fd').length;
const probes = [peekOffsetWorks, pingSocketWorks, udpGsoWorks, ipv6DefaultRoute];

/** The real table with some calls answered otherwise. */
function altered(calls: Partial<Sys>): Sys {
  const sys = Object.create(null) as Record<string, unknown>;
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(real)) as (keyof Sys)[];
  for (const name of methods) {
    const method = real[name] as unknown;
    if (typeof method === 'function') sys[name] = method.bind(real);
  }
  return Object.assign(sys, { arena: real.arena }, calls) as unknown as Sys;
}

test('probes give the same answer each time and leave nothing behind', () => {
  const first = probes.map((probe) => probe(real));
  const before = openFds();
  const { used } = real.arena;
  for (let round = 0; round < 50; round++)
    assert.deepEqual(
      probes.map((probe) => probe(real)),
      first,
    );
  assert.equal(openFds(), before);
  assert.equal(real.arena.used, used);
});

test('the peek offset is found on Linux 6.9 and later', () => {
  const [major = 0, minor = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number);
  assert.equal(peekOffsetWorks(real), major > 6 || (major === 6 && minor >= 9));
});

test('a kernel that takes the peek offset but does not keep it is found out', () => {
  let sets = 0;
  const sys = altered({
    setsockopt: (fd, level, name, value) => {
      if (name === SO_PEEK_OFF) sets++;
      return name === SO_PEEK_OFF ? 0 : real.setsockopt(fd, level, name, value);
    },
  });
  const before = openFds();
  assert.equal(peekOffsetWorks(sys), false);
  assert.equal(sets, 1);
  assert.equal(openFds(), before);
});

test('an answer is given when there are no descriptors left', () => {
  const sys = altered({ socket: () => -ENFILE });
  assert.equal(peekOffsetWorks(sys), false);
  assert.equal(udpGsoWorks(sys), false);
  assert.equal(ipv6DefaultRoute(sys), false);
  assert.match(String(pingSocketWorks(sys)), /errno 23/);
});

test('ping: forbidden is explained, allowed is true', () => {
  assert.match(String(pingSocketWorks(altered({ socket: () => -EACCES }))), /sysctl -w net\.ipv4\.ping_group_range=/);
  const fd = real.eventfd();
  assert.equal(pingSocketWorks(altered({ socket: () => fd })), true);
});

test('IPv6 route: none, one with a usable source, one with only a link-local source', () => {
  const route = (connect: number, source: number): boolean =>
    ipv6DefaultRoute(
      altered({
        connect: () => connect,
        getsockname: (_fd, addrOff) => {
          real.arena.view.setUint32(addrOff + 8, source);
          return 0;
        },
      }),
    );
  assert.equal(route(-ENETUNREACH, 0), false);
  assert.equal(route(0, 0x2001_0db8), true);
  assert.equal(route(0, 0xfd00_0000), true);
  assert.equal(route(0, 0xfe80_0000), false);
  assert.equal(route(0, 0xfebf_ffff), false);
});
