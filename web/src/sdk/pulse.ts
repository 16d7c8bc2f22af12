// Whether a host's heart beats. Owns: when its silence is believed. Does not own: the channel and what is done. Pure.
// Thresholds: hosts beat every 50 ms. 150 ms is what a call can lose without anybody noticing; what is done then can be undone.

import type { Alarm } from './hosting.ts';

export const SUSPECT_MS = 150;
export const SILENT_MS = 250;
/** From here on signaling is told. */
export const LOST_MS = 2000;
/** Beats that came steadily for so long mean that the host is back. */
const BACK_MS = 1000;

export interface Finding {
  readonly alarm: Alarm;
  /** Milliseconds. */
  readonly silentFor: number;
  readonly isLost: boolean;
}

export class Pulse {
  #last: number | null = null;
  #steadySince = 0;
  #alarm: Alarm = 'none';
  #isSuspended = false;

  get isBeating(): boolean {
    return this.#last !== null;
  }

  /**
   * A beat came. The first one begins the watch: hosts without a standby have none. A host that has heard nobody for a while
   * (`deafFor`) has nothing to forward: its beat is as old as that.
   */
  beat(now: number, deafFor = 0): void {
    if (this.#last === null || now - this.#last >= SUSPECT_MS) this.#steadySince = now;
    this.#last = deafFor > 0 ? Math.min(this.#last ?? now, now - deafFor) : now;
  }

  /** While ICE restarts, the channel stalls although media flows: then silence says nothing. */
  suspend(isSuspended: boolean, now: number): void {
    if (this.#isSuspended && !isSuspended && this.#last !== null) this.#last = now;
    this.#isSuspended = isSuspended;
  }

  /** To be asked every few milliseconds. */
  look(now: number): Finding {
    if (this.#last === null || this.#isSuspended) return { alarm: this.#alarm, silentFor: 0, isLost: false };
    const silentFor = now - this.#last;
    if (silentFor >= SILENT_MS) this.#alarm = 'silent';
    else if (silentFor >= SUSPECT_MS) {
      if (this.#alarm === 'none') this.#alarm = 'suspect';
    } else if (this.#alarm === 'suspect' || now - this.#steadySince >= BACK_MS) this.#alarm = 'none';
    return { alarm: this.#alarm, silentFor, isLost: silentFor >= LOST_MS };
  }
}
