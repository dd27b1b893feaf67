/**
 * The body of a request: JSON in UTF-8, of which both sides read the same.
 *
 * Zone: control.  A key that stands twice in an object is refused, because readers differ in which of its values holds
 * (RFC 8259 §4); so is one of the name by which JavaScript reaches a prototype.  Nothing is decompressed.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { VmlanError } from '../core/errors.ts';

const JSON_TYPE = 'application/json';
/** RFC 7396 §4. */
const MERGE_PATCH_TYPE = 'application/merge-patch+json';
const PROTOTYPE_KEY = '__proto__';
/** What a JSON text consists of, as far as keys are concerned. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

export function readJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  for (const type of [JSON_TYPE, MERGE_PATCH_TYPE]) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) => {
      checkDeclared(request, type);
      return parsedBody(body);
    });
  }
}

function checkDeclared({ method, headers }: FastifyRequest, type: string): void {
  if (type === MERGE_PATCH_TYPE && method !== 'PATCH') throw wrongType(`${type} is for PATCH alone`);
  const charset = /;\s*charset="?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8')
    throw wrongType(`the body is declared as ${JSON.stringify(charset)}; JSON is UTF-8`);
  const { 'content-encoding': encoding = 'identity' } = headers;
  if (encoding.toLowerCase() !== 'identity')
    throw wrongType(`the body is of the encoding ${JSON.stringify(encoding)}`, 'send it as it is, uncompressed');
}

export const wrongType = (message: string, hint = `send Content-Type: ${JSON_TYPE}`): VmlanError =>
  new VmlanError('unsupported-media-type', message, { hint });

/** undefined: there is none.  Throws VmlanError `invalid`. */
export function parsedBody(body: Uint8Array): unknown {
  if (body.length === 0) return undefined;
  const text = decoded(body);
  const value = parsed(text);
  checkKeys(text);
  return value;
}

function decoded(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new VmlanError('invalid', 'body: not UTF-8', { cause });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new VmlanError('invalid', `body: not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** `text` is JSON: a string before a colon is a key. */
function checkKeys(text: string): void {
  const open: (Set<string> | null)[] = [];
  let last = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') addKey(open.at(-1)!, JSON.parse(last) as string);
    else last = token;
  }
}

function addKey(keys: Set<string>, key: string): void {
  if (key === PROTOTYPE_KEY) throw new VmlanError('invalid', `body: the key "${key}" is not allowed`);
  if (keys.has(key)) {
    throw new VmlanError('invalid', `body: the key ${JSON.stringify(key)} stands twice in one object`, {
      hint: 'which of its values was meant? send it once',
    });
  }
  keys.add(key);
}
