/**
 * docs/config.md: every key of networks.yaml, made from the schema and what it says about each.
 *
 * Zone: control.  config-reference.test.ts formats the page and keeps it current.
 */
import type { JsonSchema } from './json-schema.ts';
import { MODE_MEANINGS } from './network.ts';

const INTRODUCTION = `# networks.yaml

<!-- Made from the schema by VMLAN_UPDATE_DOCS=1 ./bin/test model/config-reference; do not edit. -->

The networks of vmlan are written in one file: \`~/.config/vmlan/networks.yaml\`, or \`/etc/vmlan/networks.yaml\` for
root; \`vmlan up --config FILE\` and \`VMLAN_CONFIG\` name another. \`vmlan config path\` tells which one holds. It is a
superset of Lima's file of that name. Without a file there are Lima's four networks \`user\`, \`user-v2\`, \`shared\` and
\`host\`; beside the networks of a file there are \`user\` and \`user-v2\`, unless the file has networks of these modes.

Commands change the file, and keep your comments and layout:

\`\`\`sh
vmlan network create lab --subnet 192.168.105.0/24 --forward 8080=web:80
vmlan network edit lab --set dns.domain=lab.test
vmlan network reservation add lab db 192.168.105.10
vmlan network delete lab
\`\`\`

Each shows with \`--dry-run\` what it would do. After an edit by hand, \`vmlan config check FILE\` says what is wrong and
where, and \`vmlan config reload\` (or SIGHUP to the daemon) makes it hold; a file with a fault changes nothing. What
changes live is said below; for the rest a running network keeps what it was started with until
\`vmlan network stop\` and \`start\`, or a change with \`--restart\`. \`vmlan config show --origin\` prints every value that
holds and where it comes from.

\`vmlan config schema >networks.schema.json\` writes the JSON Schema for editors (also in this directory). The YAML
language server finds it by a first line of the file:

\`\`\`yaml
# yaml-language-server: $schema=networks.schema.json
\`\`\`
`;

/** Headings of the maps and lists that have a table of their own, by their place. */
const SECTIONS: readonly (readonly [path: string, title: string])[] = [
  ['', 'The file'],
  ['networks.NAME', 'A network: `networks.NAME`'],
  ['networks.NAME.dhcp', '`networks.NAME.dhcp`'],
  ['networks.NAME.dhcp.reservations[]', 'An entry of `dhcp.reservations`'],
  ['networks.NAME.dns', '`networks.NAME.dns`'],
  ['networks.NAME.forwards[]', 'An entry of `forwards`'],
  ['networks.NAME.isolation', '`networks.NAME.isolation`'],
  ['paths', '`paths`'],
];

export function renderConfigReference(schema: JsonSchema): string {
  const sections = SECTIONS.map(([path, title]) => {
    const rows = Object.entries(at(schema, path).properties ?? {}).map(([key, value]) =>
      row(key, value, at(schema, path).required?.includes(key) ?? false),
    );
    return `## ${title}\n\n| Key | Type | Default | Meaning | Example |\n| --- | --- | --- | --- | --- |\n${rows.join('')}`;
  });
  return [INTRODUCTION, ...sections, modesSection()].join('\n');
}

function modesSection(): string {
  const rows = Object.entries(MODE_MEANINGS).map(([mode, meaning]) => `| \`${mode}\` | ${meaning} |\n`);
  return `## The modes\n\n| Mode | Meaning |\n| --- | --- |\n${rows.join('')}`;
}

/** `networks.NAME.forwards[]`: NAME is any key of a map, `[]` an entry of a list. */
export function at(schema: JsonSchema, path: string): JsonSchema {
  const steps = path
    .replaceAll('[]', '.[]')
    .split('.')
    .filter((step) => step !== '');
  return steps.reduce((node, step): JsonSchema => {
    if (step === '[]') return node.items ?? {};
    return node.properties?.[step] ?? (node.additionalProperties as JsonSchema);
  }, schema);
}

function row(key: string, schema: JsonSchema, isRequired: boolean): string {
  const preset = schema.default === undefined ? schema['x-default'] : `\`${inline(schema.default)}\``;
  const example = schema.examples?.map((value) => `\`${inline(value)}\``).join('<br>') ?? '';
  const cells = [
    `\`${key}\``,
    typeOf(schema),
    isRequired ? 'required' : (preset ?? ''),
    schema.description ?? '',
    example,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (Array.isArray(schema.type)) return schema.type.map((type: string) => typeOf({ type })).join(' or ');
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'integer':
      return schema.maximum !== undefined && schema.maximum < 1e9
        ? `whole number, ${schema.minimum ?? 0} to ${schema.maximum}`
        : 'whole number';
    case 'number':
      return 'number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `list of ${schema.items?.type === 'object' ? 'maps' : typeOf(schema.items ?? {})}`;
    default:
      return 'map';
  }
}

/** As it would stand in the file, on one line. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([key, entry]) => `${key}: ${inline(entry)}`);
  return `{ ${entries.join(', ')} }`;
}
