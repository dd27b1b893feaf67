/**
 * What a running network holds after steps were carried out.
 *
 * Zone: control.
 */
import type { AppliedState, Step } from './driver.ts';

type Done<Action extends Step['action']> = readonly Extract<Step, { readonly action: Action }>[];

/** After steps of one action. */
export function afterSteps(state: AppliedState, steps: readonly Step[]): AppliedState {
  switch (steps[0]?.action) {
    case 'set-nic': {
      const nics = (steps as Done<'set-nic'>).map(({ nic }) => nic);
      return { ...state, nics: put(state.nics, nics, keyOf) };
    }
    case 'remove-nic': {
      const nics = (steps as Done<'remove-nic'>).map(({ nic }) => nic);
      return { ...state, nics: without(state.nics, nics, keyOf) };
    }
    case 'add-link':
      return { ...state, links: [...state.links, ...(steps as Done<'add-link'>).map(({ link }) => link)] };
    case 'remove-link': {
      const links = (steps as Done<'remove-link'>).map(({ link }) => link);
      return { ...state, links: without(state.links, links, idOf) };
    }
    case 'set-reservations':
      return { ...state, reservations: (steps as Done<'set-reservations'>).at(-1)!.reservations };
    case 'set-closed':
      return { ...state, closed: (steps as Done<'set-closed'>).at(-1)!.closed };
    case 'set-records':
      return { ...state, records: (steps as Done<'set-records'>).at(-1)!.records };
    case 'add-forward': {
      const forwards = (steps as Done<'add-forward'>).map(({ forward }) => forward);
      return { ...state, forwards: [...state.forwards, ...forwards] };
    }
    case 'remove-forward': {
      const forwards = (steps as Done<'remove-forward'>).map(({ forward }) => forward);
      return { ...state, forwards: without(state.forwards, forwards, idOf) };
    }
    case 'set-shape': {
      const shapes = (steps as Done<'set-shape'>).map(({ shape }) => shape);
      return { ...state, shapes: put(state.shapes, shapes, idOf) };
    }
    case 'remove-shape': {
      const shapes = (steps as Done<'remove-shape'>).map(({ shape }) => shape);
      return { ...state, shapes: without(state.shapes, shapes, idOf) };
    }
    default:
      return state;
  }
}

const keyOf = ({ key }: { readonly key: string }): string => key;
const idOf = ({ id }: { readonly id: string }): string => id;

/** The list without those whose key is that of one of `gone`. */
function without<T>(list: readonly T[], gone: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const keys = new Set(gone.map(keyOf));
  return list.filter((item) => !keys.has(keyOf(item)));
}

/** With `items` at the end, in the place of those of their keys. */
const put = <T>(list: readonly T[], items: readonly T[], keyOf: (item: T) => string): readonly T[] => [
  ...without(list, items, keyOf),
  ...items,
];
