// What a change of hosts cost the person who watched it. Owns: the merged time line of each picture, over both legs. Pure; times in
// milliseconds of one clock.

import type { Epoch, TrackId } from './protocol.gen.ts';
import type { Picture } from './surface.ts';

export interface MoveCost {
  readonly epoch: Epoch;
  readonly kind: 'planned' | 'failover';
  /** From the beginning until everything came from the new host; null where it was undone. */
  readonly tookMs: number | null;
  /** Longest time between two pictures around the change, of the picture for which it was worst; null where none was shown. */
  readonly longestGapMs: number | null;
  /** The same for the same picture, in as long a time before. */
  readonly baselineMs: number | null;
  /** Longest time between two pictures that were as large as before the change, of the picture for which that was worst. */
  readonly smallerMs: number | null;
  /** Sound that was made up because it was missing; null where it was undone. */
  readonly concealedMs: number | null;
}

/** A change shows in what is drawn this long before it is noticed and after it is over. */
export const BEFORE_MS = 400;
export const AFTER_MS = 850;
const LEAST_BASELINE_MS = 2000;
const KEPT_MS = 15_000;
const MOST_KEPT = 1000;

interface Moment {
  readonly at: number;
  readonly height: number;
}

export class TimeLine {
  readonly #shown = new Map<TrackId, Moment[]>();

  /** A picture was shown. */
  frame(track: TrackId, { at, skipped, height }: Picture): void {
    const moments = this.#shown.get(track) ?? [];
    this.#shown.set(track, moments);
    const last = moments.at(-1)?.at ?? at;
    for (let index = 1; index <= skipped; index += 1) moments.push({ at: last + ((at - last) * index) / (skipped + 1), height });
    moments.push({ at, height });
    const old = moments.findIndex((moment) => moment.at >= at - KEPT_MS);
    moments.splice(0, Math.max(old, moments.length - MOST_KEPT));
  }

  /** It pauses on purpose or is not shown any more: the time until the next picture is no gap. */
  pause(track: TrackId): void {
    this.#shown.delete(track);
  }

  clear(): void {
    this.#shown.clear();
  }

  /** The worst picture's longest gap in a stretch of time, the same picture's before it, and the worst one's between two as large as before. */
  cost(from: number, to: number): Pick<MoveCost, 'longestGapMs' | 'baselineMs' | 'smallerMs'> {
    const length = Math.max(LEAST_BASELINE_MS, to - from);
    const costs = [...this.#shown.values()].flatMap((moments) => {
      const times = moments.map(({ at }) => at);
      const gap = longest(times, from, to);
      if (gap === null) return [];
      const before = moments.findLast(({ at }) => at < from)?.height ?? 0;
      const large = moments.filter(({ height }) => height >= before).map(({ at }) => at);
      return [{ gap, baseline: longest(times, from - length, from), smaller: longest(large, from, to) ?? to - from }];
    });
    const [worst] = costs.toSorted((a, b) => b.gap - (b.baseline ?? 0) - (a.gap - (a.baseline ?? 0)));
    if (!worst) return { longestGapMs: null, baselineMs: null, smallerMs: null };
    return {
      longestGapMs: Math.round(worst.gap),
      baselineMs: worst.baseline === null ? null : Math.round(worst.baseline),
      smallerMs: Math.round(Math.max(...costs.map(({ smaller }) => smaller))),
    };
  }
}

/** The longest time between two neighbours of which one lies in the stretch; a gap that still lasts at its end counts. */
function longest(times: readonly number[], from: number, to: number): number | null {
  let most: number | null = null;
  for (let index = 0; index < times.length; index += 1) {
    const [here = 0, next = Math.max(to, here)] = [times[index], times[index + 1]];
    if (next < from || here > to) continue;
    most = Math.max(most ?? 0, next - here);
  }
  return most;
}
