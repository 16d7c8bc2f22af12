// Tells the stories one after the other and says how they ended. Exit code 1 if one failed.
//   node run.mjs                 all stories
//   node run.mjs --only screen   those whose name contains the word
//   node run.mjs --list          only their names
//   node run.mjs --folder long   those of another folder than `stories`
// BATON_BIN is the binary under test (default target/debug/baton). BATON_LONG=1 watches calls for 60 s instead of 20 s.

import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Lab } from './rig/lab.mjs';
import { inNamespace } from './rig/line.mjs';
import { stories } from './rig/story.mjs';
import { TooLate, Witness } from './rig/witness.mjs';

const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, exactly: { type: 'string' }, list: { type: 'boolean' }, inside: { type: 'boolean' }, folder: { type: 'string', default: 'stories' } },
});
/** Stories of one run that are told again because the machine had no processor for them; one more is a failure. */
const MOST_EXCUSED = 3;
const WARM_UP_MS = 30_000;

for (const file of readdirSync(new URL(`./${options.folder}/`, import.meta.url)).toSorted()) {
  await import(`./${options.folder}/${file}`);
}
const wanted = stories.filter(({ name }) => (options.exactly === undefined ? name.includes(options.only) : name === options.exactly));
if (options.list) {
  for (const { name } of wanted) console.log(name);
  process.exit(0);
}

const counts = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const witness = new Witness();
let excused = 0;
if (!options.inside && wanted.length > 0) await warmUp();
for (const story of wanted) {
  const started = Date.now();
  const seconds = () => ((Date.now() - started) / 1000).toFixed(1);
  const told = () => `, processors idle for ${Math.round(100 * witness.idlePart({ from: started, to: Date.now() }))} %`;
  try {
    await tellFairly(story);
    counts.passed += 1;
    if (!options.inside) console.log(`ok      ${story.name} (${seconds()} s${told()})`);
  } catch (error) {
    const isSkip = error.name === 'Skip';
    counts[isSkip ? 'skipped' : 'failed'] += 1;
    const verdict = `${isSkip ? 'SKIPPED' : 'FAILED '} ${story.name} (${seconds()} s)\n        ${error.message.replaceAll('\n', '\n        ')}`;
    if (!isSkip) failures.push(verdict);
    if (options.inside) console.error(error.message);
    else console.log(verdict);
  }
}
if (!options.inside) {
  if (counts.skipped > 0) console.log(`SKIPPED ${counts.skipped} stories, see above`);
  // Once more at the end: who reads the tail of a long log wants these.
  for (const verdict of failures) console.log(verdict);
  console.log(`${counts.passed} passed, ${counts.failed} failed`);
}
process.exit(counts.failed > 0 ? 1 : 0);

/**
 * The first call after a machine has started reads both browsers and their codecs from its disk, for seconds: no story shall have that in
 * its time. Nothing is asserted here; what does not work fails in the first story.
 */
async function warmUp() {
  const lab = new Lab('warm up');
  try {
    const { url } = await lab.baton();
    const room = lab.room();
    const ana = await lab.join('Ana', 'chromium', url, room);
    const ben = await lab.join('Ben', 'firefox', url, room);
    await Promise.all([ana.sees(ben, { within: WARM_UP_MS }), ben.sees(ana, { within: WARM_UP_MS })]);
  } catch (error) {
    console.log(`        the first call did not come about: ${error.message.split('\n', 1)[0]}`);
  } finally {
    await lab.close();
  }
}

/** A story that was too slow while the machine had no processor to spare is told once more. Nothing else is. */
async function tellFairly(story) {
  try {
    await tell(story);
  } catch (error) {
    const excuse = error instanceof TooLate ? error.excuse(witness) : null;
    if (excuse === null || excused >= MOST_EXCUSED) {
      // What the machine did meanwhile helps to judge the complaint.
      if (error instanceof TooLate) error.message += `\nprocessors were idle for ${(100 * witness.idlePart(error.window)).toFixed(1)} %`;
      throw error;
    }
    excused += 1;
    console.log(`AGAIN   ${story.name}: ${error.message.split('\n', 1)[0]}; ${excuse}`);
    await tell(story);
  }
}

async function tell(story) {
  if (story.needsLine && !options.inside) return inNamespace(story, ['--folder', options.folder]);
  const lab = new Lab(story.name);
  const limit = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not over after ${story.limit / 1000} s`)), story.limit).unref();
  });
  try {
    await Promise.race([story.tell(lab), limit]);
  } catch (error) {
    if (error.name !== 'Skip') error.message += `\nsee ${await lab.keepEvidence()}`;
    throw error;
  } finally {
    await lab.close();
  }
}

