// Who is in the room. Owns: the list, and what is kept of it where a restarted signaling service has not heard of everybody again. Pure
// but for its timer.

import type { ParticipantId, ParticipantInfo, TrackId } from './protocol.gen.ts';

/** How long signaling itself waits for somebody to come back. */
const RETURN_WITHIN_MS = 30_000;

export class Roster {
  #told: readonly ParticipantInfo[] = [];
  /** As they were before the restart: those who are missing, and those of whose tracks nothing was heard. */
  #kept: readonly ParticipantInfo[] = [];
  readonly #changed: () => void;

  /** `changed` is called when nothing is waited for any longer. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Everybody; who is missing since a restart is away, with the tracks they had. */
  get people(): readonly ParticipantInfo[] {
    const told = this.#told.map((person) => ({ ...person, tracks: hasTracks(person) ? person.tracks : this.#keptOf(person.id)?.tracks ?? [] }));
    const missing = this.#kept.filter(({ id }) => !this.#told.some((person) => person.id === id));
    return [...told, ...missing.map((person) => ({ ...person, connected: false }))];
  }

  /** Everybody, as signaling says. `gathers`: it may not know everybody and everything again yet. */
  replace(people: readonly ParticipantInfo[], gathers: boolean): void {
    const hasMore = (old: ParticipantInfo) => {
      const now = people.find(({ id }) => id === old.id);
      return now === undefined || (hasTracks(old) && !hasTracks(now));
    };
    const kept = gathers ? this.people.filter(hasMore) : [];
    this.#told = people;
    this.#kept = kept;
    if (kept.length > 0) setTimeout(() => { if (this.#drop((old) => kept.includes(old))) this.#changed(); }, RETURN_WITHIN_MS);
  }

  /** Somebody came or changed; true for whom nobody knew. */
  put(person: ParticipantInfo): boolean {
    const isKnown = this.people.some(({ id }) => id === person.id);
    const isTold = this.#told.some(({ id }) => id === person.id);
    this.#told = isTold ? this.#told.map((other) => (other.id === person.id ? person : other)) : [...this.#told, person];
    if (hasTracks(person)) this.#drop(({ id }) => id === person.id);
    return !isKnown;
  }

  /** Somebody went. */
  remove(id: ParticipantId): ParticipantInfo | undefined {
    const gone = this.people.find((person) => person.id === id);
    this.#told = this.#told.filter((person) => person.id !== id);
    this.#drop((old) => old.id === id);
    return gone;
  }

  /** The host says that these tracks ended: whose they were does not come back with them. True where that is news. */
  end(tracks: ReadonlySet<TrackId>): boolean {
    return this.#drop((old) => old.tracks.some((track) => tracks.has(track.id)));
  }

  name(id: ParticipantId): string {
    return this.people.find((person) => person.id === id)?.name ?? '';
  }

  #keptOf(id: ParticipantId): ParticipantInfo | undefined {
    return this.#kept.find((old) => old.id === id);
  }

  #drop(isGone: (old: ParticipantInfo) => boolean): boolean {
    const left = this.#kept.filter((old) => !isGone(old));
    const isNews = left.length < this.#kept.length;
    this.#kept = left;
    return isNews;
  }
}

function hasTracks({ tracks }: ParticipantInfo): boolean {
  return tracks.length > 0;
}
