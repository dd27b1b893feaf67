/**
 * One thing after the other for each name: changes of one thing never overlap, those of different things do.
 *
 * Zone: control.
 */
export class Serial {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(name: string, action: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name) ?? Promise.resolve();
    const result = before.then(action, action);
    const tail = result.catch(() => undefined);
    this.#tails.set(name, tail);
    void tail.finally(() => this.#forget(name, tail));
    return result;
  }

  #forget(name: string, tail: Promise<unknown>): void {
    if (this.#tails.get(name) === tail) this.#tails.delete(name);
  }
}
