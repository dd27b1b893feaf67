/**
 * Where a VMM listens, as people write it: an absolute path, or HOST:PORT.
 *
 * Zone: control.
 */
import { VmlanError } from '../core/errors.ts';
import type { ServerAddress } from '../model/guest.ts';
import { UNIX_PATH_MAX } from '../sys/sockaddr.ts';
import { parseIpv4, parseIpv6 } from '../wire/address.ts';

const TCP = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/;

export function serverAddress(text: string): ServerAddress {
  if (text.startsWith('/')) {
    const length = Buffer.byteLength(text);
    if (length <= UNIX_PATH_MAX) return { unix: text };
    throw new VmlanError('invalid', `${text}: a socket path has at most ${UNIX_PATH_MAX} bytes, this one ${length}`, {
      hint: 'choose a shorter one',
    });
  }
  const [, bracketed, plain, portText] = TCP.exec(text) ?? [];
  const host = bracketed ?? (plain === 'localhost' ? '127.0.0.1' : plain);
  const port = Number(portText);
  const known = host !== undefined && (parseIpv4(host) !== null || parseIpv6(host) !== null);
  if (known && port >= 1 && port <= 65_535) return { host, port };
  throw new VmlanError('invalid', `"${text}" is not where a machine can listen`, {
    hint: 'write an absolute path, or ADDRESS:PORT such as 127.0.0.1:4321',
  });
}
