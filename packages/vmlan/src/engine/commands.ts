/**
 * What the control plane asks of a running engine: each request is carried out and answered by exactly one `done`.
 *
 * Zone: control.  Never throws: a request that fails is answered with its error.
 */
import { toErrorData } from '../core/errors.ts';
import type { Attachments } from './attachments.ts';
import type { Captures } from './captures.ts';
import { cidr } from './config.ts';
import type { EngineCommand, EngineSnapshot, FromEngine, SnapshotScope } from './control-messages.ts';
import type { FlowList } from './flow-list.ts';
import type { ForwardTable } from './forward-table.ts';
import type { Guests } from './guests.ts';
import type { Leasing } from './leasing.ts';
import type { PortProbes } from './probes.ts';
import type { Segments } from './segments.ts';
import type { Shapes } from './shapes.ts';

/** In place of a result: the answer comes by itself. */
const LATER = Symbol('later');

interface CommandedParts {
  readonly send: (message: FromEngine) => void;
  readonly loop: { readonly now: number };
  readonly attachments: Attachments;
  readonly captures: Captures;
  readonly flows: FlowList;
  readonly forwards: ForwardTable;
  readonly guests: Guests;
  readonly leasing: Leasing;
  readonly probes: PortProbes;
  readonly segments: Segments;
  readonly shapes: Shapes;
  readonly snapshot: (only?: SnapshotScope) => EngineSnapshot;
  readonly stop: () => void;
}

export class Commands {
  readonly #parts: CommandedParts;

  constructor(parts: CommandedParts) {
    this.#parts = parts;
  }

  handle(command: EngineCommand): void {
    try {
      const result = this.#execute(command);
      if (result !== LATER) this.#done(command.id, result);
    } catch (error) {
      this.#parts.send({ type: 'done', id: command.id, error: toErrorData(error), result: null });
    }
  }

  #done(id: number, result: unknown): void {
    this.#parts.send({ type: 'done', id, error: null, result });
  }

  #execute(command: EngineCommand): unknown {
    const { attachments, captures, flows, forwards, guests, leasing, loop, probes, segments, shapes } = this.#parts;
    const answer = (result: unknown): void => this.#done(command.id, result);
    switch (command.type) {
      case 'add-link':
        attachments.add(command.linkId, command.link);
        break;
      case 'remove-link':
        attachments.remove(command.linkId);
        break;
      case 'set-nic':
        guests.setNic(command.nic);
        leasing.reserve(command.nic.key, command.nic.ip ?? null);
        break;
      case 'remove-nic':
        guests.removeNic(command.key);
        leasing.reserve(command.key, null);
        break;
      case 'add-forward':
        forwards.add(command.forward, loop.now);
        break;
      case 'remove-forward':
        forwards.remove(command.forwardId);
        break;
      case 'set-shape':
        shapes.set(command.shape);
        break;
      case 'remove-shape':
        shapes.remove(command.shapeId);
        break;
      case 'set-reservations':
        leasing.setReservations(command.reservations);
        break;
      case 'set-closed':
        segments.setClosed(command.closed.map(cidr));
        break;
      case 'set-records':
        segments.setRecords(command.records);
        break;
      case 'allocate':
        leasing.allocate(command.nic, command.mac, answer);
        return LATER;
      case 'flows':
        return flows.page(command, loop.now);
      case 'probe':
        probes.start(command, loop.now, answer);
        return LATER;
      case 'look-up':
        segments.lookUp(command.query, loop.now, answer);
        return LATER;
      case 'start-capture':
        return captures.start(command.captureId, command.spec, command.ring);
      case 'stop-capture':
        return captures.stop(command.captureId);
      case 'snapshot':
        return this.#parts.snapshot(command.only);
      case 'stop':
        this.#parts.stop();
        break;
    }
    return null;
  }
}
