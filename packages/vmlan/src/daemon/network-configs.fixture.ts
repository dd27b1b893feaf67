/**
 * A networks.yaml of somebody who writes comments, and what is asked about it.
 *
 * Zone: control.
 */
import { readFileSync } from 'node:fs';
import type { TestDaemon } from './daemon.fixture.ts';

export const FILE: string = `# my networks
networks:
  lab:            # for tests
    mode: shared
    subnet: 10.77.0.0/24   # not the office's
    dhcp: { reservations: [{ guest: db, ip: 10.77.0.10 }] }
    forwards: [{ host: 8080, guest: web:80 }]

  cut: { mode: isolated }
`;

export const textOf = (daemon: TestDaemon): string => readFileSync(daemon.paths.config, 'utf8');
export const names = async (daemon: TestDaemon): Promise<string[]> =>
  (await daemon.client.call('listNetworks')).map(({ name }) => name);
/** What names it in a call. */
export const LAB: { readonly params: { readonly name: string } } = { params: { name: 'lab' } };
