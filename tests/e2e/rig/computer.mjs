// Somebody's computer that may carry the call: a process of `baton-client agent`, beside the page where its owner sits.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { client } from './baton.mjs';
import { until } from './wait.mjs';

export class Computer {
  #child;

  /** What it said so far, one object a line. */
  #said = [];

  /** Offers `owner`'s computer in the room of an invite; `space` is a network namespace to start it in. */
  static offer(lab, invite, owner, { space = null } = {}) {
    return Computer.#start(lab, ['agent', invite, '--for', owner], owner, space);
  }

  /** Somebody joins with the native client and test media, and offers the computer. */
  static join(lab, invite, owner, { space = null } = {}) {
    return Computer.#start(lab, ['join', invite, '--name', owner, '--test-media'], owner, space);
  }

  /** Likewise, but the computer is not offered. */
  static visit(lab, invite, owner, { space = null } = {}) {
    return Computer.#start(lab, ['join', invite, '--name', owner, '--test-media'], owner, space, []);
  }

  static #start(lab, words, owner, space, consent = ['--allow-hosting']) {
    const command = [...(space ? ['ip', 'netns', 'exec', space] : []), client, ...words, ...consent, '--json'];
    const child = spawn(command[0], command.slice(1), { env: { ...process.env, RUST_BACKTRACE: '1' }, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(`${lab.folder}/computer-of-${owner}.log`);
    for (const stream of [child.stdout, child.stderr]) stream.pipe(file, { end: false });
    child.on('error', (error) => file.write(`cannot start ${client}: ${error.message}; build it with cargo build -p baton-client\n`));
    const computer = new Computer(owner, child);
    createInterface({ input: child.stdout }).on('line', (line) => computer.#hear(line));
    lab.onClose(() => {
      computer.signal('SIGCONT');
      return computer.stop();
    });
    lab.note(consent.length > 0 ? `${owner} offers a computer` : `${owner} comes`);
    return computer;
  }

  constructor(name, child) {
    this.name = name;
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

  /** Their number in the room, once they are in. */
  async number() {
    const joined = await until(`${this.name} is in the room`, 10_000, () => this.#said.find(({ event }) => event === 'joined'));
    return joined.me;
  }

  /** Who carries the call, as signaling said last. */
  get hosting() {
    return this.#said.findLast(({ event }) => event === 'hosting')?.hosting ?? null;
  }

  /** How often that was said. */
  get hostings() {
    return this.#said.filter(({ event }) => event === 'hosting').length;
  }

  /** From now on, for what is asked of the time since. */
  mark() {
    return this.#said.length;
  }

  /** Where somebody was served, each time that something was said of it. */
  placesSince(mark) {
    const hostings = this.#said.slice(mark).filter(({ event }) => event === 'hosting').map(({ hosting }) => hosting);
    return hostings.map(({ mine, term }) => (mine === term.host ? 'computer' : 'server'));
  }

  /** Pictures per second of somebody, second by second. */
  async ratesSince(mark, other) {
    const who = await other.number();
    const stats = this.#said.slice(mark).filter(({ event }) => event === 'stats');
    return stats.map(({ slots }) => Math.max(0, ...slots.filter(({ kind, participant }) => kind === 'video' && participant === who).map(({ fps }) => fps)));
  }

  /** Waits for a picture of somebody that moves at `fps` or more. */
  async sees(other, { fps = 20, within = 2000 } = {}) {
    const who = await other.number();
    const stats = () => this.#said.findLast(({ event }) => event === 'stats');
    const isShown = ({ kind, participant, fps: rate }) => kind === 'video' && participant === who && rate >= fps;
    const state = () => JSON.stringify({ who, hosting: this.hosting, stats: stats() }, null, 1);
    await until(`${this.name} sees ${other.name}`, within, () => stats()?.slots.some(isShown), state);
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
