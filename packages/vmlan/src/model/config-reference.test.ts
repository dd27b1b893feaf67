import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { format, resolveConfig } from 'prettier';
import { parse } from 'yaml';
import { at, renderConfigReference } from './config-reference.ts';
import { networksJsonSchema } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';
import { knownKeys, networksFileSchema } from './schema.ts';

const DOCS = join(import.meta.dirname, '../../../../docs');
const schema = networksJsonSchema();

async function isCurrent(name: string, text: string, parser: string): Promise<void> {
  const path = join(DOCS, name);
  const wanted = await format(text, { ...(await resolveConfig(path)), parser });
  if (process.env['VMLAN_UPDATE_DOCS'] === '1') writeFileSync(path, wanted);
  assert.equal(readFileSync(path, 'utf8'), wanted, 'run: VMLAN_UPDATE_DOCS=1 ./bin/test model/config-reference');
}

test('docs/config.md is what the schema says', () => isCurrent('config.md', renderConfigReference(schema), 'markdown'));
test('docs/networks.schema.json is the schema', () =>
  isCurrent('networks.schema.json', JSON.stringify(schema), 'json'));

interface Key {
  readonly path: string;
  readonly schema: JsonSchema;
}

function keysIn(node: JsonSchema, path: string): readonly Key[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, value]): readonly Key[] => {
    const place = path === '' ? name : `${path}.${name}`;
    return [{ path: place, schema: value }, ...keysIn(value, place)];
  });
  const inner = typeof node.additionalProperties === 'object' ? keysIn(node.additionalProperties, `${path}.NAME`) : [];
  return [...own, ...inner, ...(node.items === undefined ? [] : keysIn(node.items, `${path}[]`))];
}

describe('every key', () => {
  const keys = keysIn(schema, '');

  test('that is known has its place in the page, its meaning and an example', () => {
    const page = readFileSync(join(DOCS, 'config.md'), 'utf8');
    assert.deepEqual(Object.keys(at(schema, 'networks.NAME').properties ?? {}), knownKeys(['networks', 'lab']));
    for (const {
      path,
      schema: { description, examples, properties, additionalProperties },
    } of keys) {
      assert.match(description ?? '', /^[A-Z`].*\.$/, path);
      assert.ok(page.includes(`\`${path.split('.').at(-1)!}\``), path);
      const isMap = properties !== undefined || typeof additionalProperties === 'object';
      if (!isMap && !path.startsWith('paths')) assert.ok((examples ?? []).length > 0, `${path} has no example`);
    }
  });

  test('has examples that the file takes', () => {
    for (const {
      path,
      schema: { examples = [] },
    } of keys) {
      for (const example of examples) {
        const steps = path.replace('networks.NAME.', '').replaceAll('[]', '.0').split('.');
        const value = steps.reduceRight<unknown>(
          (inner, step) => (step === '0' ? [inner] : { [step]: inner }),
          example,
        );
        const [first = ''] = steps;
        const list = (value as Record<string, unknown>)[first];
        const entry =
          Array.isArray(list) && typeof list[0] === 'object'
            ? [{ host: 1, guest: 'a:1', ...(list[0] as object) }]
            : list;
        const dhcp =
          steps[1] === 'reservations'
            ? { reservations: [{ guest: 'a', ip: '1.2.3.4', ...(list as { reservations: object[] }).reservations[0] }] }
            : entry;
        const file = path === 'group' ? { group: example } : { networks: { lab: { mode: 'shared', [first]: dhcp } } };
        const result = networksFileSchema.safeParse(file);
        assert.ok(result.success, `${path}: ${JSON.stringify(example)}: ${result.error?.message}`);
      }
    }
  });
});

test('the examples of the page are YAML', () => {
  const page = readFileSync(join(DOCS, 'config.md'), 'utf8');
  for (const [, block = ''] of page.matchAll(/^```yaml\n(.*?)```$/gms)) parse(block);
});
