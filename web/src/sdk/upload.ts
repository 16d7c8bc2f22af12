// Whether the own line is too slow for what is to be sent, by the browser's congestion control. Owns: how often it is asked, and when its
// word is believed. Does not own: who is told.

/** Between two looks, and how many in a row have to say the same: a call that begins is slow for a moment. */
const LOOK_MS = 2000;
const LOOKS = 3;

export class Upload {
  #nextLook = 0;
  #said = false;
  #otherwise = 0;

  /** Is a look due? */
  isDue(now: number): boolean {
    if (now < this.#nextLook) return false;
    this.#nextLook = now + LOOK_MS;
    return true;
  }

  /** Takes what a look saw. Gives the news, or null where there is none. */
  note(isSlow: boolean): boolean | null {
    this.#otherwise = isSlow === this.#said ? 0 : this.#otherwise + 1;
    if (this.#otherwise < LOOKS) return null;
    this.#otherwise = 0;
    this.#said = isSlow;
    return isSlow;
  }
}

/** Says one of a sender's encodings that the line limits it? Firefox does not say what limits it, and counts as unlimited. */
export async function isLimitedByLine(sender: RTCRtpSender | null): Promise<boolean> {
  if (!sender?.track) return false;
  return [...(await sender.getStats()).values()].some((entry) => entry.type === 'outbound-rtp' && entry.qualityLimitationReason === 'bandwidth');
}
