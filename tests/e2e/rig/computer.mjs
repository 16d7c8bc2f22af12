// Somebody's computer that may carry the call: a process of `baton-client agent`, beside the page where its owner sits.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

import { client } from './baton.mjs';

export class Computer {
  #child;

  /** Offers `owner`'s computer in the room of an invite. */
  static offer(lab, invite, owner) {
    const child = spawn(client, ['agent', invite, '--for', owner, '--allow-hosting', '--json'], {
      env: { ...process.env, RUST_BACKTRACE: '1' }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    const file = createWriteStream(`${lab.folder}/computer-of-${owner}.log`);
    for (const stream of [child.stdout, child.stderr]) stream.pipe(file, { end: false });
    child.on('error', (error) => file.write(`cannot start ${client}: ${error.message}; build it with cargo build -p baton-client\n`));
    const computer = new Computer(child);
    lab.onClose(() => computer.stop());
    lab.note(`${owner} offers a computer`);
    return computer;
  }

  constructor(child) {
    this.#child = child;
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
