// `make lab`: plays the scenarios of `tests/lab` in the simulator and with real browsers on real packets, and writes what each measured into
// the table of `docs/lines.md`; then passes the baton many times (`tests/e2e/long`), for `docs/passing.md`. Root; about an hour and a half.
//   --only drop            scenarios, or ways to pass the baton, whose name contains the word
//   --world simulator,chromium,firefox,passing
// BATON_TIMES says how often each kind of change is made (20).

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { repository } from './rig/baton.mjs';
import { Lab } from './rig/lab.mjs';
import { holds, real, scenarios, told } from './rig/real.mjs';
import { play } from './rig/scenario.mjs';
import { table } from './rig/spread.mjs';
import { ask } from './rig/world.mjs';

const rows = `${repository}tests/out/rows`;
const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, world: { type: 'string', default: 'simulator,chromium,firefox,passing' }, inside: { type: 'string' } },
});
const started = Date.now();
const say = (text) => console.log(`[${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s] ${text}`);

/** Milliseconds without a picture, p50, p95 and p99: where a host fails, and beyond what is usual where the baton is passed on purpose. */
const BOUNDS = {
  'kill -9': [250, 400, 800], SIGSTOP: [350, 500, 1000], 'network lost': [350, 500, 1000], 'uplink lost': [350, 500, 1000],
  'downlink lost': [350, 500, 1000],
};
const PLANNED_BOUNDS = [17, 33, 66];
/** The same until the picture is as large again, p50. */
const LARGE_AGAIN = 1000;

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
  for (const world of worlds.filter((other) => other !== 'simulator' && other !== 'passing')) {
    for (const [name, scenario] of wanted) {
      if (scenario.not_in?.[world]) continue;
      const row = await real(name, scenario, world);
      missed += row.failed ? 1 : row.figures.filter((one) => !holds(one)).length;
      say(`${world}: ${name}: ${row.failed ? `failed: ${row.failed}` : row.figures.map(told).join('; ')}`);
      writeFileSync(`${rows}/${world} ${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.json`, JSON.stringify(row));
    }
  }
  if (worlds.some((world) => world !== 'passing')) {
    ask(['table', rows, `${repository}docs/lines.md`]);
    say(`docs/lines.md is written; ${missed} figures of real browsers beyond their bounds`);
  }
  if (worlds.includes('passing')) passing();
}

/** Passes the baton, and writes what people missed into its document. */
function passing() {
  const runner = fileURLToPath(new URL('./run.mjs', import.meta.url));
  const folder = `${repository}tests/out/passing`;
  if (options.only === '') rmSync(folder, { recursive: true, force: true });
  try {
    execFileSync(process.execPath, [runner, '--folder', 'long', '--only', options.only], { stdio: 'inherit' });
  } catch {
    say('not every kind of change could be measured to its end; the table has what was measured');
  }
  const kinds = ['planned', 'kill-9', 'SIGSTOP', 'network-lost', 'uplink-lost', 'downlink-lost'].filter((kind) => existsSync(`${folder}/${kind}.json`));
  const changes = kinds.flatMap((kind) => JSON.parse(readFileSync(`${folder}/${kind}.json`, 'utf8')));
  const document = `${repository}docs/passing.md`;
  const between = /(<!-- figures, by `make lab` -->\n)[^]*(<!-- end of figures -->)/;
  writeFileSync(document, readFileSync(document, 'utf8').replace(between, (_, begin, end) => `${begin}\n${table(rowsOf(changes))}\n\n${end}`));
  say('docs/passing.md is written');
}

/** Three rows for each kind of change and browser: pictures, pictures as large as before, and sound. */
function rowsOf(changes) {
  const names = [...new Set(changes.map(({ what, who }) => `${what}\n${who}`))];
  return names.flatMap((name) => {
    const [what, who] = name.split('\n');
    const group = changes.filter((change) => change.what === what && change.who === who);
    const isPlanned = !(what in BOUNDS);
    const shown = group.filter(({ longestGapMs, baselineMs }) => longestGapMs !== null && (!isPlanned || baselineMs !== null));
    const gap = ({ longestGapMs, baselineMs }) => (isPlanned ? Math.max(0, longestGapMs - baselineMs) : longestGapMs);
    const bounds = BOUNDS[what] ?? PLANNED_BOUNDS;
    const pictures = isPlanned ? 'longer than usual without a picture, ms' : 'without a picture, ms';
    const large = group.filter(({ smallerMs }) => typeof smallerMs === 'number').map(({ smallerMs }) => smallerMs);
    const sound = group.filter(({ concealedMs }) => concealedMs !== null).map(({ concealedMs }) => concealedMs);
    return [
      { what: `${what}: ${pictures}`, who, values: shown.map(gap), bounds },
      { what: `${what}: without a picture as large as before, ms`, who, values: large, bounds: what === 'kill -9' ? [LARGE_AGAIN] : [] },
      { what: `${what}: sound made up, ms`, who, values: sound, bounds: isPlanned ? [undefined, 20] : [] },
    ].filter(({ values }) => values.length > 0);
  });
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
