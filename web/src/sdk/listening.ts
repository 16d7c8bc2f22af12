// Whose voice comes over a leg just now. Owns: what changed between two looks, because clocks of browsers differ.

import type { Leg } from './leg.ts';
import type { ParticipantId } from './protocol.gen.ts';

/** Voices come every 20 ms; a look takes longer when the page is busy. */
const RECENT_MS = 200;
/** A voice that was seen so often has filled its buffer. */
const STEADY = 2;

export class Listening {
  readonly #heard = new Map<string, { timestamp: number; changedAt: number; count: number }>();
  readonly #began: number;

  constructor(readonly leg: Leg, now: number) {
    this.#began = now;
    this.look(now);
  }

  /** Looks, and says whose packets came since the look before or shortly before that. */
  look(now: number): ReadonlySet<ParticipantId> {
    const voices = new Set<ParticipantId>();
    for (const [index, { transceiver }] of this.leg.audioSlots.entries()) {
      for (const { source, timestamp } of transceiver.receiver.getContributingSources()) {
        const key = `${index} ${source}`;
        const known = this.#heard.get(key);
        if (!known) this.#heard.set(key, { timestamp, changedAt: -RECENT_MS, count: 0 });
        else if (known.timestamp !== timestamp) Object.assign(known, { timestamp, changedAt: now, count: known.count + 1 });
        if (known && known.count >= STEADY && now - known.changedAt < RECENT_MS) voices.add(source);
      }
    }
    return voices;
  }

  /** Has it been watched long enough for silence to mean something? */
  isSure(now: number): boolean {
    return now - this.#began >= RECENT_MS;
  }
}
