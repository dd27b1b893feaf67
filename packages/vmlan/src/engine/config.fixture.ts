/**
 * A network as tests and measurements begin it; each says what of it is different.
 *
 * Zone: control.
 */
import type { EngineConfig } from './control-messages.ts';

export const CONFIG: EngineConfig = {
  network: 'lab',
  mode: 'user-v2',
  mtu: 1500,
  gatewayMac: '02:76:6d:00:00:01',
  ipv4: {
    subnet: '192.168.104.0/24',
    gateway: '192.168.104.1',
    dns: '192.168.104.1',
    poolStart: '192.168.104.100',
    poolEnd: '192.168.104.200',
    excluded: [],
    fixedGuest: null,
    leaseSeconds: 3600,
    announceRouter: true,
  },
  ipv6: { prefix: 'fd00:1:2:3::/64', gateway: 'fd00:1:2:3::1' },
  dns: { domain: 'lab.internal', searchDomains: ['lab.internal'], upstream: 'host', records: [] },
  reservations: [],
  hostAccess: 'all',
  outward: true,
  closed: ['169.254.0.0/16'],
  isolation: { guests: false },
  guards: true,
  leases: [],
  duid: '0003000102766d000001',
};
