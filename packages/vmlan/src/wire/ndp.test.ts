import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DAD_SOLICIT, hex, NEIGHBOR_ADVERT, NEIGHBOR_SOLICIT, ROUTER_SOLICIT, view } from './frames.fixture.ts';
import * as icmpv6 from './icmpv6.ts';
import * as ipv4 from './ipv4.ts';
import * as ipv6 from './ipv6.ts';
import * as ndp from './ndp.ts';
import * as options from './ndp-options.ts';
import { BAD_ADDRESS, BAD_CODE, BAD_HOP_LIMIT, BAD_OPTION, OK, TOO_SHORT, UNKNOWN_TYPE } from './verdict.ts';

const IP = 14;
const AT = IP + 40;

const checked = (frame: Uint8Array): number => ndp.check(view(frame), IP, AT, frame.length - AT);

/** A frame with a source and destination of four words each and an ICMPv6 message. */
function frame(src: number[], dst: number[], message: string, hopLimit = 255): Uint8Array {
  const body = hex(message);
  const bytes = new Uint8Array(AT + body.length);
  const [s0, s1, s2, s3] = src;
  const [d0, d1, d2, d3] = dst;
  ipv6.emit(view(bytes), IP, body.length, ipv4.PROTO_ICMPV6, hopLimit, s0!, s1!, s2!, s3!, d0!, d1!, d2!, d3!);
  bytes.set(body, AT);
  return bytes;
}

const ANY = [0, 0, 0, 0];
const LINK_LOCAL = [0xfe800000, 0, 0, 1];
const GLOBAL = [0x20010db8, 0, 0, 1];
const ALL_NODES = [0xff020000, 0, 0, 1];
const SOLICITED = [0xff020000, 0, 1, 0xff000002];
const TARGET = '20010db8 00000000 00000000 00000002';
const MAC_OPTION = '01 01 5254 0000 000a';

test('fields of a captured solicitation', () => {
  const v = view(NEIGHBOR_SOLICIT);
  assert.equal(checked(NEIGHBOR_SOLICIT), OK);
  assert.deepEqual(
    [ndp.target0(v, AT), ndp.target1(v, AT), ndp.target2(v, AT), ndp.target3(v, AT)],
    [0x20010db8, 0, 0, 2],
  );
  const p = ndp.findLinkLayer(v, AT, 32, ndp.OPTION_SOURCE_LINK_LAYER);
  assert.equal(p, AT + 24);
  assert.deepEqual([ndp.linkLayerHi(v, p), ndp.linkLayerLo(v, p)], [0x5254, 0x0000000a]);
  assert.equal(ndp.findLinkLayer(v, AT, 32, ndp.OPTION_TARGET_LINK_LAYER), -1);
});

test('fields of a captured advertisement', () => {
  const v = view(NEIGHBOR_ADVERT);
  assert.equal(checked(NEIGHBOR_ADVERT), OK);
  assert.equal(ndp.flags(v, AT), ndp.NA_SOLICITED | ndp.NA_OVERRIDE);
  const p = ndp.findLinkLayer(v, AT, 32, ndp.OPTION_TARGET_LINK_LAYER);
  assert.equal(ndp.linkLayerLo(v, p), 0x0000000b);
});

test('captured duplicate address detection and router solicitation pass', () => {
  assert.equal(checked(DAD_SOLICIT), OK);
  assert.equal(checked(ROUTER_SOLICIT), OK);
  assert.equal(ndp.findLinkLayer(view(ROUTER_SOLICIT), AT, 16, ndp.OPTION_SOURCE_LINK_LAYER), AT + 8);
});

test('emitters write what was captured', () => {
  const solicit = NEIGHBOR_SOLICIT.slice();
  solicit.fill(0xee, AT);
  assert.equal(ndp.emitNeighborSolicit(view(solicit), AT, 0x20010db8, 0, 0, 2, 0x5254, 0x0000000a), 32);
  icmpv6.setChecksum(view(solicit), AT, 32, ipv6.pseudo(view(solicit), IP, ipv4.PROTO_ICMPV6));
  assert.deepEqual(solicit, NEIGHBOR_SOLICIT);

  const advert = NEIGHBOR_ADVERT.slice();
  advert.fill(0xee, AT);
  const flags = ndp.NA_SOLICITED | ndp.NA_OVERRIDE;
  assert.equal(ndp.emitNeighborAdvert(view(advert), AT, flags, 0x20010db8, 0, 0, 2, 0x5254, 0x0000000b), 32);
  icmpv6.setChecksum(view(advert), AT, 32, ipv6.pseudo(view(advert), IP, ipv4.PROTO_ICMPV6));
  assert.deepEqual(advert, NEIGHBOR_ADVERT);
});

test('the router flag of an advertisement is its highest bit', () => {
  const v = new DataView(new ArrayBuffer(32));
  ndp.emitNeighborAdvert(v, 0, ndp.NA_ROUTER, 0, 0, 0, 0, 0, 0);
  assert.equal(v.getUint32(4), 0x80000000);
});

const NS = '87 00 0000 00000000';
const NA = '88 00 0000 40000000';
const RA = '86 00 0000 40 00 0708 00000000 00000000';
const RS = '85 00 0000 00000000';
const REDIRECT = `89 00 0000 00000000`;
const LL_TARGET = 'fe800000 00000000 00000000 00000009';
const cases: { name: string; in: Uint8Array; want: number }[] = [
  { name: 'solicitation', in: frame(GLOBAL, SOLICITED, NS + TARGET), want: OK },
  { name: 'unicast probe', in: frame(GLOBAL, [0x20010db8, 0, 0, 2], NS + TARGET + MAC_OPTION), want: OK },
  { name: 'hop limit 254', in: frame(GLOBAL, SOLICITED, NS + TARGET, 254), want: BAD_HOP_LIMIT },
  { name: 'code 1', in: frame(GLOBAL, SOLICITED, `87 01${NS.slice(5)}${TARGET}`), want: BAD_CODE },
  { name: 'empty', in: frame(GLOBAL, SOLICITED, ''), want: TOO_SHORT },
  { name: 'without target', in: frame(GLOBAL, SOLICITED, NS), want: TOO_SHORT },
  { name: 'an echo request', in: frame(GLOBAL, SOLICITED, '80 00 0000 00000000'), want: UNKNOWN_TYPE },
  { name: 'multicast target', in: frame(GLOBAL, SOLICITED, `${NS}ff${TARGET.slice(2)}`), want: BAD_ADDRESS },
  { name: 'DAD', in: frame(ANY, SOLICITED, NS + TARGET), want: OK },
  { name: 'DAD with a source option', in: frame(ANY, SOLICITED, NS + TARGET + MAC_OPTION), want: BAD_OPTION },
  { name: 'DAD to all nodes', in: frame(ANY, ALL_NODES, NS + TARGET), want: BAD_ADDRESS },
  {
    name: 'option of length zero',
    in: frame(GLOBAL, SOLICITED, `${NS}${TARGET}01 00 5254 0000 000a`),
    want: BAD_OPTION,
  },
  { name: 'option past the end', in: frame(GLOBAL, SOLICITED, `${NS}${TARGET}01 02 5254 0000 000a`), want: BAD_OPTION },
  { name: 'option cut', in: frame(GLOBAL, SOLICITED, `${NS}${TARGET}01 01 5254`), want: BAD_OPTION },
  { name: 'solicited advertisement to one', in: frame(GLOBAL, LINK_LOCAL, NA + TARGET), want: OK },
  { name: 'solicited advertisement to many', in: frame(GLOBAL, ALL_NODES, NA + TARGET), want: BAD_ADDRESS },
  { name: 'router advertisement', in: frame(LINK_LOCAL, ALL_NODES, RA), want: OK },
  { name: 'router advertisement from a global address', in: frame(GLOBAL, ALL_NODES, RA), want: BAD_ADDRESS },
  { name: 'router solicitation from nobody', in: frame(ANY, ALL_NODES, RS), want: OK },
  { name: 'router solicitation from nobody with a MAC', in: frame(ANY, ALL_NODES, RS + MAC_OPTION), want: BAD_OPTION },
  { name: 'redirect to a router', in: frame(LINK_LOCAL, GLOBAL, REDIRECT + LL_TARGET + TARGET), want: OK },
  { name: 'redirect: on link', in: frame(LINK_LOCAL, GLOBAL, REDIRECT + TARGET + TARGET), want: OK },
  {
    name: 'redirect to another global address',
    in: frame(LINK_LOCAL, GLOBAL, `${REDIRECT}${TARGET}${TARGET.slice(0, -1)}3`),
    want: BAD_ADDRESS,
  },
  {
    name: 'redirect from a global address',
    in: frame(GLOBAL, GLOBAL, REDIRECT + LL_TARGET + TARGET),
    want: BAD_ADDRESS,
  },
  {
    name: 'redirect of a multicast destination',
    in: frame(LINK_LOCAL, GLOBAL, `${REDIRECT}${LL_TARGET}ff${TARGET.slice(2)}`),
    want: BAD_ADDRESS,
  },
];
for (const { name, in: bytes, want } of cases) {
  test(`check: ${name}`, () => assert.equal(checked(bytes), want));
}

/** What a gateway announces, by field; tcpdump reads it as written here. */
const ROUTER_ADVERT = hex(`
  86 00 0000 40 c8 0708 00007530 000003e8    // hop limit 64, managed + other + high preference, 1800 s, 30 s, 1 s
  01 01 5254 0000 0001                       // source link-layer address
  05 01 0000 000005dc                        // MTU 1500
  03 04 40 c0 00015180 00003840 00000000     // prefix of 64 bits, on link + autonomous, 1 day, 4 hours
  fd000000 00010000 00000000 00000000
  19 03 0000 00000708                        // DNS server for 1800 s
  fd000000 00010000 00000000 00000001
  1f 04 0000 00000708                        // search list for 1800 s
  03 6c6162 08 696e7465726e616c 00           // lab.internal
  04 74657374 00                             // test
  0000 0000                                  // padding
  18 03 30 18 ffffffff                       // route of 48 bits, low preference, for ever
  fd000000 00020000 00000000 00000000
`);

test('a router advertisement with every option', () => {
  const search = options.encodeSearchList(['lab.internal', 'test.']);
  const bytes = new Uint8Array(ROUTER_ADVERT.length + 8).fill(0xee);
  const v = view(bytes);
  const flags = ndp.RA_MANAGED | ndp.RA_OTHER | ndp.RA_PREFERENCE_HIGH;
  let p = ndp.emitRouterAdvert(v, 0, 64, flags, 1800, 30_000, 1000);
  p = options.putSourceLinkLayer(v, p, 0x5254, 1);
  p = options.putMtu(v, p, 1500);
  const prefixFlags = options.PREFIX_ON_LINK | options.PREFIX_AUTONOMOUS;
  p = options.putPrefix(v, p, 64, prefixFlags, 86_400, 14_400, 0xfd000000, 0x00010000, 0, 0);
  p = options.putRdnss(v, p, 1800, 0xfd000000, 0x00010000, 0, 1);
  p = options.putDnssl(v, p, 1800, search);
  p = options.putRoute(v, p, 48, ndp.RA_PREFERENCE_LOW, options.LIFETIME_INFINITE, 0xfd000000, 0x00020000, 0, 0);
  assert.equal(p, ROUTER_ADVERT.length);
  assert.deepEqual(bytes.slice(0, p), ROUTER_ADVERT);
  assert.deepEqual(
    [ndp.raHopLimit(v, 0), ndp.raFlags(v, 0), ndp.raLifetimeS(v, 0), ndp.raReachableMs(v, 0), ndp.raRetransMs(v, 0)],
    [64, flags, 1800, 30_000, 1000],
  );
  const found = ndp.findOption(v, ndp.ROUTER_ADVERT_LEN, p, ndp.OPTION_RDNSS);
  assert.equal(ndp.optionLen(v, found), 24);
});

test('an empty search list makes no option', () => {
  const v = new DataView(new ArrayBuffer(8));
  assert.equal(options.putDnssl(v, 0, 60, options.encodeSearchList([])), 0);
});

test('search lists that do not fit are refused', () => {
  assert.throws(() => options.encodeSearchList(['x'.repeat(64)]), /longer than 63 bytes/);
  assert.throws(() => options.encodeSearchList(Array.from({ length: 40 }, () => 'x'.repeat(60))), /search list/);
  assert.equal(options.encodeSearchList(Array.from({ length: 32 }, () => 'x'.repeat(60))).length, 1984);
});

test('a link-layer option of another length is not an Ethernet address', () => {
  const bytes = frame(GLOBAL, SOLICITED, `${NS}${TARGET}01 02 ${'00'.repeat(14)}`);
  assert.equal(checked(bytes), OK);
  assert.equal(ndp.findLinkLayer(view(bytes), AT, bytes.length - AT, ndp.OPTION_SOURCE_LINK_LAYER), -1);
});

test('a MAC is exchanged in place', () => {
  const bytes = NEIGHBOR_ADVERT.slice();
  const v = view(bytes);
  const p = ndp.findLinkLayer(v, AT, 32, ndp.OPTION_TARGET_LINK_LAYER);
  ndp.setLinkLayer(v, p, 0x0203, 0x04050607);
  assert.deepEqual([ndp.linkLayerHi(v, p), ndp.linkLayerLo(v, p)], [0x0203, 0x04050607]);
});

test('garbage: no read past the end, and options that pass are walked', () => {
  const type = fc.constantFrom(133, 134, 135, 136, 137, 128);
  fc.assert(
    fc.property(type, fc.uint8Array({ maxLength: 80 }), fc.boolean(), (type, rest, fromLinkLocal) => {
      const message = Buffer.from([type, 0, 0, 0, ...rest]).toString('hex');
      const bytes = frame(fromLinkLocal ? LINK_LOCAL : GLOBAL, ALL_NODES, message);
      const v = view(bytes);
      const len = bytes.length - AT;
      checked(bytes);
      for (const option of [ndp.OPTION_SOURCE_LINK_LAYER, ndp.OPTION_TARGET_LINK_LAYER, rest[4] ?? 0]) {
        const p = ndp.findLinkLayer(v, AT, len, option);
        assert.ok(p === -1 || p + 8 <= bytes.length);
      }
    }),
    { numRuns: 2000 },
  );
});
