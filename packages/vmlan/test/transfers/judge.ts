/**
 * Whether a transfer was right, from what both sides report.
 *
 * Zone: control. Pure.
 */
import type { Side } from '../support/peer-exchange.ts';
import type { Digest } from '../support/peer-stream.ts';
import type { Transfer } from './plan.ts';

/** What is wrong with one direction, or nothing. */
function direction(name: string, planned: number, said: Digest, heard: Digest): string[] {
  if (said.bytes !== planned) return [`${name}: ${said.bytes} of ${planned} bytes were sent`];
  if (heard.bytes !== planned) return [`${name}: ${heard.bytes} of ${planned} bytes came`];
  return heard.sha256 === said.sha256 ? [] : [`${name}: ${planned} bytes came, and not those that were sent`];
}

/** null when every byte of both directions is right and both sides ended as they should. */
export function wrong(transfer: Transfer, client: Side | undefined, server: Side | undefined): string | null {
  const problems =
    client === undefined || server === undefined
      ? [`no report of the ${client === undefined ? 'client' : 'server'}`]
      : [
          ...(client.errno === null ? [] : [`the client met ${client.errno}`]),
          ...(server.errno === null ? [] : [`the server met ${server.errno}`]),
        ];
  if (problems.length === 0 && client !== undefined && server !== undefined) {
    problems.push(
      ...direction('to the guest', transfer.down, server.said, client.heard),
      ...direction('from the guest', transfer.up, client.said, server.heard),
    );
  }
  if (problems.length === 0) return null;
  const { mark, mtu, path, family, shape, down, up } = transfer;
  return `transfer ${mark} (${path}, MTU ${mtu}, IPv${family}, ${shape}, ${down} down, ${up} up): ${problems.join('; ')}`;
}
