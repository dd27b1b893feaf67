/**
 * What is wrong with a configuration, and where in the document.
 *
 * Zone: control.  Thrown while a document is judged; the daemon turns the path into line and column.  Who judges goes on
 * after the first mistake where the rest does not hang on it, so that a person hears of all of them at once.
 */
export type IssuePath = readonly (string | number)[];

export class ConfigIssue extends Error {
  readonly path: IssuePath;
  readonly hint: string | undefined;
  /** What else is wrong; the first one is the one that is thrown. */
  others: readonly ConfigIssue[] = [];

  constructor(path: IssuePath, message: string, hint?: string) {
    super(message);
    this.name = 'ConfigIssue';
    this.path = path;
    this.hint = hint;
  }
}

/** Collects what the parts of a document throw. */
export class IssueList {
  readonly #issues: ConfigIssue[] = [];

  /** The result of `judge`; undefined when it finds something wrong. */
  try<T>(judge: () => T): T | undefined {
    try {
      return judge();
    } catch (error) {
      if (!(error instanceof ConfigIssue)) throw error;
      this.#issues.push(error, ...error.others);
      error.others = [];
      return undefined;
    }
  }

  /** Throws what was found; the first with the others. */
  end(): void {
    const [first, ...others] = this.#issues;
    if (first === undefined) return;
    first.others = others;
    throw first;
  }
}
