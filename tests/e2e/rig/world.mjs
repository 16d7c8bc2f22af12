// The real world of a scenario: a middle where Baton runs, a network namespace for everybody who has a line, and the lines between.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { repository } from './baton.mjs';

const tool = process.env.BATON_LAB ?? `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/debug/lab`;

/** Where Baton is reached, whichever line one sits behind. */
export const MIDDLE = '10.80.0.1';

const ip = (...words) => execFileSync('ip', words, { stdio: 'pipe' });

/** Words of a route: computers of participants send by it, as most do, whatever this machine prefers (RFC 9438). */
export const CUBIC = ['congctl', 'cubic'];

/** Asks the lab's program. */
export function ask(words, input) {
  return execFileSync(tool, words, { input, encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** Whoever has a line of their own; the others live in the middle. The first of them sits where the driver runs. */
export function hasLine({ up = {}, down = {}, joins, udp_blocked: blocked, away }) {
  const isSaid = (way) => Object.values(way).some((value) => value !== null);
  return isSaid(up) || isSaid(down) || typeof joins === 'number' || blocked || away || false;
}

/** Makes namespaces, gives their names to `work`, and removes them. */
export async function inSpaces(count, work) {
  const names = Array.from({ length: count + 1 }, (_, index) => `bt-lab-${process.pid}-${index}`);
  const made = [];
  try {
    for (const name of names) {
      ip('netns', 'add', name);
      made.push(name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    ip('-n', names[0], 'addr', 'add', `${MIDDLE}/32`, 'dev', 'lo');
    return await work(names);
  } finally {
    for (const name of made) ip('netns', 'del', name);
  }
}

/** A line between the middle and a participant. */
export class Wire {
  #child;
  #space;
  #index;
  /** Longest wait and the download since the last look. */
  #queue = 0;
  downloaded = 0;
  lost = 0;

  static async lay(middle, space, index, seed, { near = `10.80.${index}.1`, far = `10.80.${index}.2`, name = `line${index}` } = {}) {
    const words = ['link', '--home', middle, near, '--guest', space, far, '--name', name, '--seed', String(seed)];
    const child = spawn(tool, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const wire = new Wire(child, space, index);
    const ready = once(lines, 'line');
    lines.on('line', (line) => wire.#hear(JSON.parse(line)));
    await ready;
    ip('-n', space, 'route', 'add', 'default', 'dev', 'line', ...CUBIC);
    return wire;
  }

  constructor(child, space, index) {
    this.#child = child;
    this.#space = space;
    this.#index = index;
  }

  #hear({ queue, downloaded, lost }) {
    this.#queue = Math.max(this.#queue, queue);
    this.downloaded = downloaded;
    this.lost = lost;
  }

  /** Milliseconds that packets waited at most since the last call. */
  takeQueue() {
    const queue = this.#queue;
    this.#queue = 0;
    return queue;
  }

  /** Changes the line; what is not said stays. */
  change(order) {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  /** The participant has another address. */
  move() {
    ip('-n', this.#space, 'addr', 'flush', 'dev', 'line');
    ip('-n', this.#space, 'addr', 'add', `10.80.${this.#index}.3/24`, 'dev', 'line');
    ip('-n', this.#space, 'route', 'replace', 'default', 'dev', 'line', ...CUBIC);
  }

  /** UDP to the host's media port does not leave any more. */
  blockUdp(port) {
    const rules = `
table inet wall {
  chain out {
    type filter hook output priority 0; policy accept;
    udp dport ${port} drop
  }
}
`;
    execFileSync('ip', ['netns', 'exec', this.#space, 'nft', '-f', '-'], { input: rules });
  }

  async close() {
    this.#child.stdin.end();
    this.#child.kill();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}
