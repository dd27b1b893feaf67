/**
 * The part of the route table that changes networks.yaml.
 *
 * Zone: control.  Every change has `?dryRun=true`; If-Match guards the network's whole configuration.
 */
import * as z from 'zod';
import {
  changeQuerySchema,
  configViewSchema,
  deleteQuerySchema,
  dryRunQuerySchema,
  networkChangeSchema,
  networkConfigViewSchema,
  networkCreateSchema,
  networkPatchSchema,
  networkReplacementSchema,
  reloadViewSchema,
  reservationBodySchema,
  reservationParamsSchema,
  reservationViewSchema,
} from './network-config.ts';
import type {
  ChangeQuery,
  ConfigView,
  DeleteQuery,
  DryRunQuery,
  NetworkChange,
  NetworkConfigView,
  NetworkCreate,
  NetworkPatch,
  NetworkReplacement,
  ReloadView,
  ReservationBody,
  ReservationParams,
  ReservationView,
} from './network-config.ts';
import { namedParamsSchema, nothingSchema } from './requests.ts';
import type { NamedParams, Nothing } from './requests.ts';
import type { Route } from './route.ts';

export interface NetworkConfigRoutes {
  readonly createNetwork: Route<Nothing, DryRunQuery, NetworkCreate, NetworkChange>;
  readonly updateNetwork: Route<NamedParams, ChangeQuery, NetworkPatch, NetworkChange>;
  readonly deleteNetwork: Route<NamedParams, DeleteQuery, Nothing, NetworkChange>;
  readonly getNetworkConfig: Route<NamedParams, Nothing, Nothing, NetworkConfigView>;
  readonly replaceNetworkConfig: Route<NamedParams, ChangeQuery, NetworkReplacement, NetworkChange>;
  readonly listReservations: Route<NamedParams, Nothing, Nothing, readonly ReservationView[]>;
  readonly createReservation: Route<NamedParams, DryRunQuery, ReservationBody, NetworkChange>;
  readonly deleteReservation: Route<ReservationParams, DryRunQuery, Nothing, NetworkChange>;
  readonly getConfig: Route<Nothing, Nothing, Nothing, ConfigView>;
  readonly reloadConfig: Route<Nothing, Nothing, Nothing, ReloadView>;
}

const none = { params: nothingSchema, query: nothingSchema, body: nothingSchema };
const byName = { ...none, params: namedParamsSchema };
const network = { resource: 'network', status: 200 } as const;

export const NETWORK_CONFIG_ROUTES: NetworkConfigRoutes = {
  createNetwork: {
    method: 'POST',
    path: '/v1/networks',
    summary: 'Create a network: write it to networks.yaml',
    resource: 'network',
    status: 201,
    ...none,
    query: dryRunQuerySchema,
    body: networkCreateSchema,
    result: networkChangeSchema,
  },
  updateNetwork: {
    method: 'PATCH',
    path: '/v1/networks/:name',
    summary: 'Change the configuration of a network by a merge patch (RFC 7396)',
    ...network,
    ...byName,
    query: changeQuerySchema,
    body: networkPatchSchema,
    result: networkChangeSchema,
  },
  deleteNetwork: {
    method: 'DELETE',
    path: '/v1/networks/:name',
    summary: 'Delete a network, its leases, forwards and records',
    ...network,
    ...byName,
    query: deleteQuerySchema,
    result: networkChangeSchema,
  },
  getNetworkConfig: {
    method: 'GET',
    path: '/v1/networks/:name/config',
    summary: 'What is configured about a network, and where it stands',
    ...network,
    ...byName,
    result: networkConfigViewSchema,
  },
  replaceNetworkConfig: {
    method: 'PUT',
    path: '/v1/networks/:name/config',
    summary: 'Replace the configuration of a network',
    ...network,
    ...byName,
    query: changeQuerySchema,
    body: networkReplacementSchema,
    result: networkChangeSchema,
  },
  listReservations: {
    method: 'GET',
    path: '/v1/networks/:name/reservations',
    summary: 'Addresses that are kept for guests',
    status: 200,
    ...byName,
    result: z.array(reservationViewSchema),
  },
  createReservation: {
    method: 'POST',
    path: '/v1/networks/:name/reservations',
    summary: 'Keep an address for a guest, by its name or its MAC address',
    ...network,
    ...byName,
    query: dryRunQuerySchema,
    body: reservationBodySchema,
    result: networkChangeSchema,
  },
  deleteReservation: {
    method: 'DELETE',
    path: '/v1/networks/:name/reservations/:ip',
    summary: 'Keep an address no longer',
    ...network,
    ...none,
    params: reservationParamsSchema,
    query: dryRunQuerySchema,
    result: networkChangeSchema,
  },
  getConfig: {
    method: 'GET',
    path: '/v1/config',
    summary: 'Every value that holds, and where it comes from',
    status: 200,
    ...none,
    result: configViewSchema,
  },
  reloadConfig: {
    method: 'POST',
    path: '/v1/config/reload',
    summary: 'Load networks.yaml again',
    status: 200,
    ...none,
    result: reloadViewSchema,
  },
};
