/**
 * The long run of hash-checked transfers: `npm run transfers -- --count 1000 --seed 1`. Exit status 1 when one was wrong,
 * 2 when it could not be run; the seed makes the same ones again, `--only` one of them.
 *
 * Zone: control.
 */
import { parseArgs } from 'node:util';
import { carryOut } from './carry-out.ts';
import { plan } from './plan.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 0x7fff_fffe)) },
    'max-bytes': { type: 'string', default: String(64 << 20) },
    only: { type: 'string' },
  },
});
const [count, seed, maxBytes] = [Number(values.count), Number(values.seed), Number(values['max-bytes'])];

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('the transfers need root: they make network namespaces');
  if (![count, seed, maxBytes].every((value) => Number.isInteger(value) && value > 0)) {
    throw new Error('--count, --seed and --max-bytes need whole numbers above 0');
  }
  const planned = plan({ count, maxBytes, seed });
  const transfers = values.only === undefined ? planned : planned.filter(({ mark }) => mark === Number(values.only));
  console.log(`seed ${seed}: ${transfers.length} transfers of up to ${maxBytes} bytes`);
  const started = performance.now();
  let done = 0;
  const found = await carryOut(transfers, ({ mtu, transfers: some, bytes, ms, wrong }) => {
    done += some;
    const rate = ((bytes * 8) / ms / 1e6).toFixed(2);
    console.log(
      `MTU ${mtu}: ${done} done, ${(bytes / 1e6).toFixed(0)} MB in ${(ms / 1000).toFixed(1)} s (${rate} Gbit/s), ${wrong.length} wrong`,
    );
    for (const text of wrong) console.log(`  WRONG ${text}`);
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`seed ${seed}: ${transfers.length} transfers in ${seconds} s, ${found.length} wrong`);
  process.exitCode = found.length === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
