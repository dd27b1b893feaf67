/**
 * Port forwards and DNS records as rows.
 *
 * Zone: control.
 */
import type { ForwardView, RecordView } from '../../model/api.ts';
import { formatTable } from '../output/table.ts';
import type { Column } from '../output/table.ts';
import { stateColour } from './guests.ts';

const FORWARD_COLUMNS: readonly Column<ForwardView>[] = [
  { title: 'id', value: (forward) => forward.id },
  { title: 'protocol', value: (forward) => forward.protocol },
  { title: 'host', value: (forward) => forward.host },
  { title: '', value: (forward) => (forward.direction === 'host' ? '->' : '<-') },
  { title: 'guest', value: (forward) => forward.guest },
  { title: 'network', value: (forward) => forward.network },
  { title: 'connections', value: (forward) => forward.connections, align: 'right' },
  { title: 'state', value: (forward) => forward.state, colour: (forward) => stateColour(forward.state) },
];

export const forwardTable = (forwards: readonly ForwardView[], coloured: boolean): string =>
  formatTable(FORWARD_COLUMNS, forwards, coloured);

const RECORD_COLUMNS: readonly Column<RecordView>[] = [
  { title: 'id', value: (record) => record.id },
  { title: 'name', value: (record) => record.name },
  { title: 'ttl', value: (record) => record.ttl, align: 'right' },
  { title: 'type', value: (record) => record.type },
  { title: 'value', value: (record) => record.value },
  { title: 'network', value: (record) => record.network },
  { title: 'origin', value: (record) => record.origin },
];

export const recordTable = (records: readonly RecordView[], coloured: boolean): string =>
  formatTable(RECORD_COLUMNS, records, coloured);
