/**
 * The ICMP errors that a scripted network answers with, and what Linux makes of them for a datagram socket.
 *
 * Zone: control.  RFC 792, RFC 4443 §3.  `isHard` errors reach a connected socket even without IP_RECVERR.
 */
import * as c from '../constants.ts';

export type IcmpErrorName =
  'port-unreachable' | 'host-unreachable' | 'net-unreachable' | 'prohibited' | 'time-exceeded' | 'too-big';

export interface IcmpError {
  readonly type: number;
  readonly code: number;
  readonly errno: number;
  readonly isHard: boolean;
}

const V4: Readonly<Record<IcmpErrorName, IcmpError>> = {
  'port-unreachable': { type: 3, code: 3, errno: c.ECONNREFUSED, isHard: true },
  'host-unreachable': { type: 3, code: 1, errno: c.EHOSTUNREACH, isHard: false },
  'net-unreachable': { type: 3, code: 0, errno: c.ENETUNREACH, isHard: false },
  prohibited: { type: 3, code: 13, errno: c.EHOSTUNREACH, isHard: true },
  'time-exceeded': { type: 11, code: 0, errno: c.EHOSTUNREACH, isHard: false },
  'too-big': { type: 3, code: 4, errno: c.EMSGSIZE, isHard: true },
};
const V6: typeof V4 = {
  'port-unreachable': { type: 1, code: 4, errno: c.ECONNREFUSED, isHard: true },
  'host-unreachable': { type: 1, code: 3, errno: c.EHOSTUNREACH, isHard: false },
  'net-unreachable': { type: 1, code: 0, errno: c.ENETUNREACH, isHard: false },
  prohibited: { type: 1, code: 1, errno: c.EACCES, isHard: true },
  'time-exceeded': { type: 3, code: 0, errno: c.EHOSTUNREACH, isHard: false },
  'too-big': { type: 2, code: 0, errno: c.EMSGSIZE, isHard: true },
};

export function icmpError(family: number, name: IcmpErrorName): IcmpError {
  return (family === c.AF_INET ? V4 : V6)[name];
}
