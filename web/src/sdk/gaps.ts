// The longest time without a new picture, per track. Pure; times in milliseconds of one clock.

import type { TrackId } from './protocol.gen.ts';

interface Meter {
  last: number | null;
  longest: number;
}

export class FrameGaps {
  readonly #meters = new Map<TrackId, Meter>();
  #hidden = false;

  /** A picture was shown. `skipped` pictures were shown between this call and the one before. */
  frame(track: TrackId, now: number, skipped = 0): void {
    const meter = this.#meters.get(track) ?? { last: null, longest: 0 };
    this.#meters.set(track, meter);
    if (meter.last !== null) meter.longest = Math.max(meter.longest, (now - meter.last) / (skipped + 1));
    meter.last = now;
  }

  /** The track pauses on purpose: no picture is due until the next one. */
  pause(track: TrackId): void {
    const meter = this.#meters.get(track);
    if (meter) meter.last = null;
  }

  /** The track is no longer shown. */
  end(track: TrackId): void {
    this.#meters.delete(track);
  }

  /** Browsers show nothing in a hidden tab, so nothing can be said about that time. */
  setHidden(hidden: boolean): void {
    this.#hidden = hidden;
    for (const meter of this.#meters.values()) meter.last = null;
  }

  reset(): void {
    for (const meter of this.#meters.values()) meter.longest = 0;
  }

  /** Longest gap in milliseconds, a running one included; null where nothing is known. */
  longest(track: TrackId, now: number): number | null {
    const meter = this.#meters.get(track);
    if (meter === undefined || this.#hidden) return null;
    return Math.round(Math.max(meter.longest, meter.last === null ? 0 : now - meter.last));
  }
}
