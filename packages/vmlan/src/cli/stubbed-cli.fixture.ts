/**
 * The command line before a daemon of paper, for all tests of a file: one guest "web" at the beginning of each.
 *
 * Zone: control.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';
import { vmlan, type CaptureOptions, type Ran } from './capture-io.fixture.ts';
import { StubDaemon, guestView } from './stub-daemon.fixture.ts';

export interface StubbedCli {
  readonly daemon: StubDaemon;
  readonly ask: (line: string, options?: CaptureOptions) => Promise<Ran>;
  /** What a command prints that succeeds and says nothing on stderr. */
  readonly ok: (line: string, options?: CaptureOptions) => Promise<string>;
}

/** To be called at the top of a file. */
export function stubbedCli(): StubbedCli {
  let daemon: StubDaemon;
  before(async () => {
    daemon = await StubDaemon.start();
  });
  after(async () => daemon[Symbol.asyncDispose]());
  beforeEach(() => {
    daemon.changes.length = 0;
    daemon.failure = null;
    daemon.guests = [guestView('web')];
    daemon.forwards = [];
    daemon.records = [];
    daemon.lookup = null;
  });
  const ask = (line: string, options: CaptureOptions = {}): Promise<Ran> =>
    vmlan(line.split(' '), { ...options, env: { VMLAN_HOST: `unix://${daemon.socket}`, ...options.env } });
  return {
    get daemon() {
      return daemon;
    },
    ask,
    async ok(line, options = {}) {
      const { code, stdout, stderr } = await ask(line, options);
      assert.deepEqual([code, stderr], [0, ''], line);
      return stdout;
    },
  };
}
