/**
 * What programs do with sockets, case by case: run on the real kernel and on the fake one, the answers must be equal.
 *
 * Zone: control.  Each scenario begins with no descriptors of its own. Amounts of data stay below every buffer except
 * where a scenario fills one, and then only that it fills is written down.
 */
import type { Scenario } from './bench.fixture.ts';
import { UDP_SCENARIOS } from './scenarios-datagram.fixture.ts';
import { FILE_SCENARIOS, PORT_SCENARIOS } from './scenarios-files.fixture.ts';
import { TCP_SCENARIOS } from './scenarios-tcp.fixture.ts';
import { UNIX_SCENARIOS } from './scenarios-unix.fixture.ts';

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  ...TCP_SCENARIOS,
  ...PORT_SCENARIOS,
  ...FILE_SCENARIOS,
  ...UDP_SCENARIOS,
  ...UNIX_SCENARIOS,
};
