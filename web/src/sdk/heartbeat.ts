// Hears the hearts of all hosts that there is a leg to. Owns: the worker that has the channels; where the browser does not let them go,
// the same runs here. Does not own: when silence means something (`Pulse`), what is done about it.

import { Emitter } from './emitter.ts';
import type { LegId } from './protocol.gen.ts';
import type { Finding } from './pulse.ts';
import { type News, type Order, watchPulses } from './pulses.ts';

export class Heartbeat extends Emitter<{ finding: { leg: LegId; finding: Finding }; tick: undefined }> {
  readonly #worker = new Worker(new URL('./pulse.worker.ts', import.meta.url), { type: 'module' });
  readonly #here = watchPulses((news) => this.#hear(news));
  #isHurried = false;

  constructor() {
    super();
    this.#worker.addEventListener('message', ({ data }: MessageEvent<News>) => this.#hear(data));
  }

  /** Takes a leg's pulse channel; to be called in the same task as it is made, or the browser does not let it go. */
  watch(leg: LegId, channel: RTCDataChannel): void {
    const order: Order = { what: 'watch', leg, channel };
    try {
      this.#worker.postMessage(order, [channel]);
    } catch {
      this.#here(order);
    }
  }

  suspend(leg: LegId, isSuspended: boolean): void {
    this.#everywhere({ what: 'suspend', leg, isSuspended });
  }

  forget(leg: LegId): void {
    this.#everywhere({ what: 'forget', leg });
  }

  /** Ticks while something changes over; from a worker, because timers of a hidden page stand almost still. */
  hurry(isHurried: boolean): void {
    if (isHurried === this.#isHurried) return;
    this.#isHurried = isHurried;
    this.#worker.postMessage({ what: 'hurry', isHurried } satisfies Order);
  }

  close(): void {
    this.#worker.terminate();
  }

  #everywhere(order: Order): void {
    this.#worker.postMessage(order);
    this.#here(order);
  }

  #hear(news: News): void {
    if (news === 'tick') this.emit('tick', undefined);
    else this.emit('finding', news);
  }
}
