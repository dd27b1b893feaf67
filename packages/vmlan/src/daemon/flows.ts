/**
 * The conversations of one, some or all networks, put together.
 *
 * Zone: control.  A network that ends while it is asked has none.
 */
import type { Driver } from '../drivers/driver.ts';
import { DEFAULT_FLOW_LIMIT, MAX_FLOW_LIMIT, firstFlows } from '../model/api.ts';
import type { FlowView, FlowsQuery } from '../model/api.ts';
import type { Networks } from './networks.ts';
import type { Subjects } from './subjects.ts';

export interface FlowsParts {
  readonly driver: Pick<Driver, 'flows'>;
  readonly networks: Networks;
  readonly subjects: Subjects;
}

export async function listFlows(
  { driver, networks, subjects }: FlowsParts,
  query: FlowsQuery,
): Promise<readonly FlowView[]> {
  const sort = query.sort ?? 'bytes';
  const limit = Math.min(Number(query.limit ?? DEFAULT_FLOW_LIMIT), MAX_FLOW_LIMIT);
  const request = { guest: query.guest ?? null, protocol: query.protocol ?? null, sort, limit };
  const meant = (await subjects.networks(query)).filter((name) => networks.shallRun(name));
  const found = await Promise.all(
    meant.map(async (network): Promise<readonly FlowView[]> => {
      const flows = await driver.flows(network, request).catch(() => []);
      return flows.map((flow) => ({ network, ...flow }));
    }),
  );
  return firstFlows(found.flat(), sort, limit);
}
