// Watches the machine while stories are told: somebody who wants a processor for a moment a hundred times a second, and notes when none came;
// and how long processors had nothing to do. Knows nothing of Baton, so it cannot excuse it.

import { cpus } from 'node:os';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

const LOOK_EVERY_MS = 10;
/** Lateness that is noted. */
const LATE_MS = 40;
/** One wait of this length, or so large a part of a time, holds up everybody: a quiet machine of two processors stays below a fiftieth. */
const STALL_MS = 150;
const STALLED_PART = 0.1;
/** Where processors are idle for less of a time than this, or taken away, what is late waited for one: usually it is a fifth and more. */
const SPENT_PART = 0.03;
/** Stalls, and looks at the processors, that are remembered: a story has far fewer. */
const MOST_STALLS = 10_000;
const IDLE_EVERY_MS = 250;

/** Milliseconds that all processors together have been idle so far. */
const idle = () => cpus().reduce((sum, { times }) => sum + times.idle, 0);

if (!isMainThread) {
  let at = Date.now();
  setInterval(() => {
    const now = Date.now();
    if (now - at > LATE_MS) parentPort.postMessage({ from: at, to: now });
    at = now;
  }, LOOK_EVERY_MS);
}

export class Witness {
  #stalls = [];
  #idles = [{ at: Date.now(), idle: idle() }];
  #worker = new Worker(new URL(import.meta.url));

  constructor() {
    this.#worker.on('message', (stall) => (this.#stalls = [...this.#stalls.slice(1 - MOST_STALLS), stall]));
    this.#worker.unref();
    setInterval(() => (this.#idles = [...this.#idles.slice(1 - MOST_STALLS), { at: Date.now(), idle: idle() }]), IDLE_EVERY_MS).unref();
  }

  /** Part of a time in which processors had nothing to do; what a hypervisor took is none of it. */
  idlePart({ from, to }) {
    const first = this.#idles.findLast(({ at }) => at <= from) ?? this.#idles[0];
    const last = { at: Date.now(), idle: idle() };
    const end = this.#idles.find(({ at }) => at >= to) ?? last;
    return (end.idle - first.idle) / (Math.max(1, end.at - first.at) * cpus().length);
  }

  /** How long no processor came within a time: the longest wait and all of them, in milliseconds. */
  stalls({ from, to }) {
    const lengths = this.#stalls.map((stall) => Math.min(stall.to, to) - Math.max(stall.from, from)).filter((length) => length > 0);
    return { longest: Math.max(0, ...lengths), sum: lengths.reduce((sum, length) => sum + length, 0) };
  }
}

/** A complaint about time, with the time it is about. */
export class TooLate extends Error {
  constructor(message, window) {
    super(message);
    this.window = window;
  }

  /** What the machine did meanwhile, if that may have been the cause; else null. */
  excuse(witness) {
    const span = this.window.to - this.window.from;
    const { longest, sum } = witness.stalls(this.window);
    const idlePart = witness.idlePart(this.window);
    if (longest < STALL_MS && sum < span * STALLED_PART && idlePart > SPENT_PART) return null;
    return `the machine gave no processor for up to ${longest} ms, ${sum} of ${span} ms in all; processors were idle for ${(100 * idlePart).toFixed(1)} %`;
  }
}
