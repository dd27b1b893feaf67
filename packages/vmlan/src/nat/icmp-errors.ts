/**
 * Errors of the host's sockets in the words of ICMP (Linux net/ipv4/icmp.c, icmp_err_convert, read backwards).
 *
 * Zone: packet.
 */
import type { Unreachable } from '../stack/icmp.ts';

const ENETUNREACH = 101;
const ENETDOWN = 100;
const EHOSTUNREACH = 113;
const EHOSTDOWN = 112;
const ECONNREFUSED = 111;
const EACCES = 13;
const EPERM = 1;
const EADDRNOTAVAIL = 99;
const EAFNOSUPPORT = 97;

/** What to tell the guest, or null when silence is right (it may try again). */
export function errorOf(errno: number): Unreachable | null {
  switch (errno) {
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return 'net';
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return 'host';
    case ECONNREFUSED:
      return 'port';
    case EACCES:
    case EPERM:
      return 'prohibited';
    default:
      return null;
  }
}
