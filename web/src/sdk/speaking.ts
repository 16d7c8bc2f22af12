// Who is speaking, from levels that come and go. Pure; times in milliseconds of one clock.

import type { ParticipantId } from './protocol.gen.ts';

/** RMS of 1 is full scale; normal speech lies around 0.05. */
const LOUD = 0.015;
/** Words have gaps. */
const HOLD_MS = 700;

export class Speaking {
  readonly #until = new Map<ParticipantId, number>();
  readonly #levels = new Map<ParticipantId, number>();

  /** Somebody's voice had this level (0 to 1) now. */
  hear(participant: ParticipantId, level: number, now: number): void {
    this.#levels.set(participant, level);
    if (level >= LOUD) this.#until.set(participant, now + HOLD_MS);
  }

  level(participant: ParticipantId): number {
    return this.#levels.get(participant) ?? 0;
  }

  at(now: number): Set<ParticipantId> {
    for (const [participant, until] of this.#until) {
      if (until < now) {
        this.#until.delete(participant);
        this.#levels.delete(participant);
      }
    }
    return new Set(this.#until.keys());
  }
}
