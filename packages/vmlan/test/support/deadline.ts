/**
 * Waiting, as tests beside the source do it.
 *
 * Zone: control.
 */
export { until, within } from '../../src/core/deadline.fixture.ts';
