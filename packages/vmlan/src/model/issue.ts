/**
 * What is wrong with a configuration, and where in the document.
 *
 * Zone: control.  Thrown while a document is judged; the daemon turns the path into line and column.
 */
export type IssuePath = readonly (string | number)[];

export class ConfigIssue extends Error {
  readonly path: IssuePath;
  readonly hint: string | undefined;

  constructor(path: IssuePath, message: string, hint?: string) {
    super(message);
    this.name = 'ConfigIssue';
    this.path = path;
    this.hint = hint;
  }
}
