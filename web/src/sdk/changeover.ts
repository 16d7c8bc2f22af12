// Changing over from one leg to another, picture by picture. Owns: which pictures are asked of the new leg and when it is done.
// Does not own: legs, elements. Pure; times in milliseconds of one clock.

import type { TrackId } from './protocol.gen.ts';

/** Waves in which a planned change asks for pictures, so that not all come twice at once. */
const WAVES = 8;
/** A picture that has not come by now does not keep the next ones waiting. */
const PATIENCE_MS = 300;
/** What has not come by now does not come, or nobody draws it. */
const GIVE_UP_MS = 2500;
/** Voices that are still missing on the new leg are not waited for any longer. */
const VOICES_MS = 1500;
/** A new leg makes up much of its first sound, until its buffer knows how evenly packets come. */
const SETTLED_MS = 700;

export class Changeover {
  readonly #asked = new Map<TrackId, number>();
  readonly #arrived = new Set<TrackId>();
  #isHeard = false;
  #isUrgent: boolean;
  #voicesSince: number | null = null;

  /** `isUrgent`: the old leg gives nothing any more, so everything is asked for at once. */
  constructor(readonly began: number, isUrgent: boolean) {
    this.#isUrgent = isUrgent;
  }

  /** The old leg died meanwhile. */
  hurry(): void {
    this.#isUrgent = true;
  }

  /** What the new leg shall show now, of all that is wanted, most important first. */
  ask(wanted: readonly TrackId[], now: number): readonly TrackId[] {
    if (this.#isUrgent) for (const track of wanted) this.#note(track, now);
    const atOnce = Math.max(1, Math.ceil(wanted.length / WAVES));
    for (const track of wanted) {
      const waiting = [...this.#asked].filter(([other, since]) => !this.#arrived.has(other) && wanted.includes(other) && now - since < PATIENCE_MS);
      if (waiting.length >= atOnce) break;
      this.#note(track, now);
    }
    return wanted.filter((track) => this.#asked.has(track));
  }

  /** The first picture of the new leg is on the screen, or the new leg says that there will be none. */
  arrive(track: TrackId): void {
    if (this.#asked.has(track)) this.#arrived.add(track);
  }

  hasArrived(track: TrackId): boolean {
    return this.#arrived.has(track);
  }

  /** Voices come from the new leg from now on. */
  hear(): void {
    this.#isHeard = true;
  }

  get isHeard(): boolean {
    return this.#isHeard;
  }

  /**
   * Shall voices change over now? `before` and `after`: whose voice came over the old and the new leg just now. Not before everybody who
   * is heard would go on being heard, and not before the new leg has played for a while unheard, if there is time.
   */
  isTimeToHear(before: ReadonlySet<number>, after: ReadonlySet<number>, now: number): boolean {
    const waited = now - this.began;
    if (after.size === 0) return before.size === 0 && waited >= PATIENCE_MS;
    this.#voicesSince ??= now;
    if (!this.#isUrgent && now - this.#voicesSince < SETTLED_MS) return false;
    return [...before].every((voice) => after.has(voice)) || waited >= VOICES_MS;
  }

  /** Is all that is wanted there? */
  isDone(wanted: readonly TrackId[], now: number): boolean {
    const isThere = (track: TrackId): boolean => this.#arrived.has(track) || now - (this.#asked.get(track) ?? now) >= GIVE_UP_MS;
    return this.#isHeard && wanted.every(isThere);
  }

  #note(track: TrackId, now: number): void {
    if (!this.#asked.has(track)) this.#asked.set(track, now);
  }
}
