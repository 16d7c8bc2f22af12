// `make lab`: plays the scenarios of `tests/lab` in the simulator and with real browsers on real packets, and writes what each measured into
// the table of `docs/lines.md`. Root; about 25 minutes.
//   --only drop            scenarios whose name contains the word
//   --world simulator,chromium,firefox

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { repository } from './rig/baton.mjs';
import { Lab } from './rig/lab.mjs';
import { holds, real, scenarios, told } from './rig/real.mjs';
import { play } from './rig/scenario.mjs';
import { ask } from './rig/world.mjs';

const rows = `${repository}tests/out/rows`;
const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, world: { type: 'string', default: 'simulator,chromium,firefox' }, inside: { type: 'string' } },
});
const started = Date.now();
const say = (text) => console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s] ${text}`);

if (options.inside === undefined) await everything();
else await inside(JSON.parse(readFileSync(options.inside, 'utf8')));

async function everything() {
  if (process.getuid() !== 0) {
    console.error('error: network namespaces need root: sudo make lab');
    process.exit(1);
  }
  // A part that is played again joins what was measured before; the whole begins anew.
  if (options.only === '') for (const world of options.world.split(',')) clear(world);
  mkdirSync(rows, { recursive: true });
  const wanted = scenarios().filter(([name]) => name.includes(options.only));
  const worlds = options.world.split(',');
  if (worlds.includes('simulator')) simulate();
  let missed = 0;
  for (const world of worlds.filter((other) => other !== 'simulator')) {
    for (const [name, scenario] of wanted) {
      if (scenario.not_in?.[world]) continue;
      const row = await real(name, scenario, world);
      missed += row.failed ? 1 : row.figures.filter((one) => !holds(one)).length;
      say(`${world}: ${name}: ${row.failed ? `failed: ${row.failed}` : row.figures.map(told).join('; ')}`);
      writeFileSync(`${rows}/${world} ${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.json`, JSON.stringify(row));
    }
  }
  ask(['table', rows, `${repository}docs/lines.md`]);
  say(`docs/lines.md is written; ${missed} figures of real browsers beyond their bounds`);
}

function clear(world) {
  if (existsSync(rows)) for (const file of readdirSync(rows)) if (file.startsWith(`${world} `)) rmSync(`${rows}/${file}`);
}

function simulate() {
  say('simulator: all scenarios');
  const words = ['test', '--workspace', '--locked', '-q', '--test', 'sim', 'lab::'];
  try {
    execFileSync('cargo', words, { cwd: repository, env: { ...process.env, BATON_ROWS: rows }, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    say(`simulator: beyond bounds\n${String(error.stdout).split('\n').filter((line) => / is (Some|None)/.test(line)).join('\n')}`);
  }
}

async function inside({ name, scenario, middle, spaces, browser }) {
  const lab = new Lab(`lab-${browser}-${name}`);
  try {
    const recording = await play(lab, scenario, { middle, spaces: new Map(spaces), browser });
    writeFileSync(`${lab.folder}/recording.json`, JSON.stringify(recording));
    console.log(ask(['measure'], JSON.stringify({ name, scenario, recording })).trim());
  } catch (error) {
    console.error(`${error.message.split('\n').slice(0, 3).join(' ')} (see ${await lab.keepEvidence()})`);
    process.exitCode = 1;
  } finally {
    await lab.close();
  }
  // A browser that does not end must not keep the scenario.
  process.exit();
}
