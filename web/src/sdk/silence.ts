// Notices that a line went dead, before ICE does (seconds later). Owns: when silence is suspicious. Does not own: what is done about it.

/** Sound comes every 20 ms, pictures every 33 ms: nothing at all for so long is no jitter. */
export const SUSPICIOUS_MS = 1000;

/** What comes for a shorter time than this says nothing when it stops. */
const STEADY_MS = 1000;

export class Silence {
  #newest = -1;
  #changedAt = 0;
  #since = 0;
  #isFlowing = false;

  /** `newest` is the time of the newest packet of any slot, by any clock; true once where a steady flow has stopped. */
  look(newest: number, now: number): boolean {
    if (newest !== this.#newest) {
      if (!this.#isFlowing) this.#since = now;
      this.#isFlowing = true;
      this.#newest = newest;
      this.#changedAt = now;
      return false;
    }
    if (!this.#isFlowing || now - this.#changedAt < SUSPICIOUS_MS) return false;
    this.#isFlowing = false;
    return this.#changedAt - this.#since >= STEADY_MS;
  }
}

/** When the newest packet came over any path of ICE, be it only a report or an answer of ICE, in milliseconds since 1970; null where the browser does not say. */
export async function lastHeard(pc: RTCPeerConnection): Promise<number | null> {
  const times = [...(await pc.getStats()).values()].flatMap((entry: Record<string, unknown>) => {
    const at = entry['type'] === 'candidate-pair' ? entry['lastPacketReceivedTimestamp'] : undefined;
    return typeof at === 'number' ? [at] : [];
  });
  return times.length > 0 ? Math.max(...times) : null;
}
