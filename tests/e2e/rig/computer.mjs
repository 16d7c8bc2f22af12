// Somebody's computer that may carry the call: a process of `baton-client agent`, beside the page where its owner sits.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { client } from './baton.mjs';

export class Computer {
  #child;

  /** What it said so far, one object a line. */
  #said = [];

  /** Offers `owner`'s computer in the room of an invite; `space` is a network namespace to start it in. */
  static offer(lab, invite, owner, { space = null } = {}) {
    return Computer.#start(lab, ['agent', invite, '--for', owner, '--allow-hosting'], owner, space);
  }

  /** Somebody joins with the native client and test media, and offers the computer. */
  static join(lab, invite, owner) {
    return Computer.#start(lab, ['join', invite, '--name', owner, '--test-media', '--allow-hosting'], owner, null);
  }

  /** Somebody joins in the same way, and does not offer the computer. */
  static visit(lab, invite, owner) {
    return Computer.#start(lab, ['join', invite, '--name', owner, '--test-media'], owner, null);
  }

  static #start(lab, words, owner, space) {
    const command = [...(space ? ['ip', 'netns', 'exec', space] : []), client, ...words, '--json'];
    const child = spawn(command[0], command.slice(1), { env: { ...process.env, RUST_BACKTRACE: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(`${lab.folder}/computer-of-${owner}.log`);
    for (const stream of [child.stdout, child.stderr]) stream.pipe(file, { end: false });
    child.on('error', (error) => file.write(`cannot start ${client}: ${error.message}; build it with cargo build -p baton-client\n`));
    const computer = new Computer(child);
    createInterface({ input: child.stdout }).on('line', (line) => computer.#hear(line));
    lab.onClose(() => {
      computer.signal('SIGCONT');
      return computer.stop();
    });
    lab.note(`${owner}'s computer is there`);
    return computer;
  }

  constructor(child) {
    this.#child = child;
  }

  #hear(line) {
    try {
      this.#said.push(JSON.parse(line));
    } catch {
      // The end of a program that was killed.
    }
  }

  /** The newest line of this event about carrying the call (`part`, `load`, `probed`). */
  last(carrying) {
    return this.#said.findLast((line) => line.carrying === carrying);
  }

  /** How often it was let in as who it was before. */
  get resumed() {
    return this.#said.filter(({ event, resumed }) => event === 'joined' && resumed).length;
  }

  /** Something happens to the process that does not end it: SIGSTOP, SIGCONT. */
  signal(name) {
    this.#child.kill(name);
  }

  /** Ends the process; `signal` as for kill(1). */
  async stop(signal = 'SIGTERM') {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
  }
}
