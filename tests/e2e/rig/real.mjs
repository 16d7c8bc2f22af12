// A scenario in the real world, told by a process of its own that lives where the first line ends.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { repository } from './baton.mjs';
import { ask, hasLine, inSpaces } from './world.mjs';

const driver = fileURLToPath(new URL('../lab.mjs', import.meta.url));
const out = `${repository}tests/out`;

/** All scenarios, variants as scenarios of their own: `[name, scenario]`. */
export const scenarios = () => JSON.parse(ask(['list']));

/** Does a figure keep to its bounds? */
export const holds = ({ figure: { most, least }, value }) => value !== null && (most === null || value <= most) && (least === null || value >= least);

/** A figure in words. */
export const told = (measured) => `${measured.figure.name} ${measured.value === null ? 'never' : Math.round(measured.value * 100) / 100}${holds(measured) ? '' : ' (!)'}`;

/** Plays a scenario in network namespaces of its own; gives its row of the table. `world` names the browser at the bad line. */
export async function real(name, scenario, world) {
  const lined = Object.keys(scenario.people).filter((person) => hasLine(scenario.people[person]));
  // Whoever is to sit at the browser in question comes first: one who watches.
  lined.sort((a, b) => Object.keys(scenario.people[b].watches).length - Object.keys(scenario.people[a].watches).length);
  mkdirSync(out, { recursive: true });
  return inSpaces(lined.length, async ([middle, ...others]) => {
    const spaces = lined.map((person, index) => [person, others[index]]);
    const file = `${out}/scenario-${process.pid}.json`;
    writeFileSync(file, JSON.stringify({ name, scenario, middle, spaces, browser: world }));
    const words = ['netns', 'exec', others[0], process.execPath, driver, '--inside', file];
    const child = spawn('ip', words, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: process.env.HOME ?? '/root' } });
    let [text, trouble] = ['', ''];
    child.stdout.on('data', (data) => (text += data));
    child.stderr.on('data', (data) => (trouble += data));
    const [code] = await once(child, 'close');
    if (code !== 0) return { scenario: name, world, figures: [], failed: trouble.trim() || `exit ${code}` };
    return JSON.parse(text.trim().split('\n').at(-1));
  });
}
