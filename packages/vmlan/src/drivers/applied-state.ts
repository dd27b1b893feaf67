/**
 * What a running network holds after a step was carried out.
 *
 * Zone: control.
 */
import type { AppliedState, Step } from './driver.ts';

export function afterStep(state: AppliedState, step: Step): AppliedState {
  switch (step.action) {
    case 'set-nic':
      return { ...state, nics: [...state.nics.filter((nic) => nic.key !== step.nic.key), step.nic] };
    case 'remove-nic':
      return { ...state, nics: state.nics.filter((nic) => nic.key !== step.nic.key) };
    case 'add-link':
      return { ...state, links: [...state.links, step.link] };
    case 'remove-link':
      return { ...state, links: state.links.filter((link) => link.id !== step.link.id) };
    case 'set-reservations':
      return { ...state, reservations: step.reservations };
    case 'set-closed':
      return { ...state, closed: step.closed };
    case 'set-records':
      return { ...state, records: step.records };
    case 'add-forward':
      return { ...state, forwards: [...state.forwards, step.forward] };
    case 'remove-forward':
      return { ...state, forwards: state.forwards.filter((forward) => forward.id !== step.forward.id) };
    case 'set-shape':
      return { ...state, shapes: [...state.shapes.filter((shape) => shape.id !== step.shape.id), step.shape] };
    case 'remove-shape':
      return { ...state, shapes: state.shapes.filter((shape) => shape.id !== step.shape.id) };
    default:
      return state;
  }
}
