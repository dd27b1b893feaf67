/**
 * The JSON Schema of networks.yaml (draft 7), for editors that complete and check it.
 *
 * Zone: control.  What one value means for another is not in it: `vmlan config check` says that.
 */
import * as z from 'zod';
import { networksTextSchema } from './schema.ts';

/** What is used of JSON Schema. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly 'x-default'?: string;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
}

export function networksJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(networksTextSchema, { target: 'draft-7', io: 'input', unrepresentable: 'any' });
  return { title: 'networks.yaml of vmlan', ...(withExamples(schema) as JsonSchema) };
}

/** zod drops `examples` where reading changes a value; under a name that it does not know they stay. */
function withExamples(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withExamples);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) =>
      key === 'x-examples' ? ['examples', value] : [key, withExamples(value)],
    ),
  );
}
