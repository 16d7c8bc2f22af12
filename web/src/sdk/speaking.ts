// Who is speaking, from levels that come and go. Pure; times in milliseconds of one clock.

import type { ParticipantId } from './protocol.gen.ts';

/** RMS of 1 is full scale; normal speech lies around 0.05. */
const LOUD = 0.015;
/** Words have gaps. */
const HOLD_MS = 700;
/** Browsers repeat the last level for seconds when nothing comes any more. Quiet voices come every 400 ms. */
const STALE_MS = 600;

export class Speaking {
  readonly #until = new Map<ParticipantId, number>();
  readonly #levels = new Map<ParticipantId, number>();
  readonly #packets = new Map<ParticipantId, { stamp: number; since: number }>();

  /** Somebody's voice had this level (0 to 1) now. `stamp` is another one as soon as another packet was played, whatever clock it is of. */
  hear(participant: ParticipantId, told: number, now: number, stamp: number): void {
    const packet = this.#packets.get(participant);
    if (packet?.stamp !== stamp) this.#packets.set(participant, { stamp, since: now });
    const isStale = packet?.stamp === stamp && now - packet.since > STALE_MS;
    const level = isStale ? 0 : told;
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
