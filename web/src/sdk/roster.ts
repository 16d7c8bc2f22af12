// Who is in the room. Owns: the list, and whom a restarted signaling service has not seen again yet. Pure but for its timer.

import type { ParticipantId, ParticipantInfo, TrackId } from './protocol.gen.ts';

/** How long signaling itself waits for somebody to come back. */
const RETURN_WITHIN_MS = 30_000;

export class Roster {
  #people: readonly ParticipantInfo[] = [];
  #awaited: ReadonlySet<ParticipantId> = new Set();
  readonly #changed: () => void;

  /** `changed` is called when somebody is not waited for any longer. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get people(): readonly ParticipantInfo[] {
    return this.#people;
  }

  /** Everybody, as signaling says. `keeps`: it may not know everybody again yet; those who are missing stay for a while, as away. */
  replace(people: readonly ParticipantInfo[], keeps: boolean): void {
    const missing = keeps ? this.#people.filter((old) => !people.some((other) => other.id === old.id)) : [];
    this.#people = [...people, ...missing.map((old) => ({ ...old, connected: false }))];
    const awaited = new Set(missing.map(({ id }) => id));
    this.#awaited = awaited;
    if (missing.length > 0) setTimeout(() => { if (this.#drop(awaited)) this.#changed(); }, RETURN_WITHIN_MS);
  }

  /** Somebody came or changed; true for whom nobody knew. */
  put(person: ParticipantInfo): boolean {
    this.#awaited = new Set([...this.#awaited].filter((id) => id !== person.id));
    const isKnown = this.#people.some((other) => other.id === person.id);
    this.#people = isKnown ? this.#people.map((other) => (other.id === person.id ? person : other)) : [...this.#people, person];
    return !isKnown;
  }

  /** Somebody went. */
  remove(id: ParticipantId): ParticipantInfo | undefined {
    const gone = this.#people.find((other) => other.id === id);
    this.#people = this.#people.filter((other) => other !== gone);
    return gone;
  }

  /** The host says that these tracks ended: who was waited for does not come back. True where that was somebody. */
  end(tracks: ReadonlySet<TrackId>): boolean {
    const gone = this.#people.filter(({ id, tracks: theirs }) => this.#awaited.has(id) && theirs.some((track) => tracks.has(track.id)));
    return this.#drop(new Set(gone.map(({ id }) => id)));
  }

  name(id: ParticipantId): string {
    return this.#people.find((person) => person.id === id)?.name ?? '';
  }

  #drop(gone: ReadonlySet<ParticipantId>): boolean {
    const left = this.#people.filter(({ id }) => !(gone.has(id) && this.#awaited.has(id)));
    const isNews = left.length < this.#people.length;
    this.#people = left;
    return isNews;
  }
}
