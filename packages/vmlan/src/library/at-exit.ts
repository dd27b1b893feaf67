/**
 * What is still to be done when the process ends without closing its networks.
 *
 * Zone: control.  One listener, however many networks; it is there only while a network is.
 */
const actions = new Set<() => void>();

const runAll = (): void => {
  for (const action of actions) action();
};

/** Runs `action`, which must be synchronous, at the process's `exit` unless it is disposed before. */
export function atExit(action: () => void): Disposable {
  if (actions.size === 0) process.on('exit', runAll);
  actions.add(action);
  return {
    [Symbol.dispose]: () => {
      if (actions.delete(action) && actions.size === 0) process.off('exit', runAll);
    },
  };
}
