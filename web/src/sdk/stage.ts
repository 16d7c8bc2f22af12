// What is shown and heard, and from which host. Owns: the view of each leg, the pictures' streams, changing over from one host to another.
// Does not own: which host it shall be (`Call`), elements (`Surface`), what own tracks do.

import { Changeover } from './changeover.ts';
import { Emitter } from './emitter.ts';
import { FrameGaps } from './gaps.ts';
import type { Account, Ledger } from './ledger.ts';
import type { Leg } from './leg.ts';
import { Listening } from './listening.ts';
import type { Loudspeaker } from './loudspeaker.ts';
import type { Path } from './path.ts';
import type { Epoch, ParticipantId, ParticipantInfo, PathFromHost, PauseReason, TrackId } from './protocol.gen.ts';
import { type Want, assignSlots, slotsNeeded, viewOf } from './slots.ts';
import type { Picture } from './surface.ts';

/** What is shown of a track. */
export interface Shown {
  readonly stream: MediaStream | null;
  readonly paused: PauseReason | null;
  readonly rid: string | null;
  readonly slot: string;
  readonly leg: number;
}

/** Why the call changes over, and how carefully. */
export type Manner =
  /** Both hosts serve; one picture after the other. */
  | 'planned'
  /** The old host may be dead: the smallest pictures of the new one, shown only where the old one gives nothing. */
  | 'suspicion'
  /** The old host is dead. */
  | 'urgent';

interface Turn {
  readonly path: Path;
  readonly change: Changeover;
  readonly account: Account;
  readonly here: Listening;
  readonly there: Listening;
  readonly epoch: Epoch;
  manner: Manner;
  isDone: boolean;
}

type StageEvents = {
  videos: ReadonlyMap<TrackId, Shown>;
  speakers: readonly ParticipantId[];
  /** All that is shown and heard comes from the new host. */
  done: Path;
};

const VIEW_DELAY_MS = 100;
/** Small enough that every camera has a layer for it. */
const SMALLEST = { width: 160, height: 90 };
const NEVER_COMES: readonly (PauseReason | null)[] = ['muted', 'gone', 'codec'];
/** Voices come every 20 ms: an old leg that gives nothing for so long is believed to be dead. */
const DEAD_AFTER_MS = 60;

const smallest = (want: Want): Want => ({ ...want, ...SMALLEST });

export class Stage extends Emitter<StageEvents> {
  readonly #gaps = new FrameGaps();
  readonly #ledger: Ledger;
  readonly #loudspeaker: Loudspeaker;
  #front: Path | null = null;
  #turn: Turn | null = null;
  #wants: readonly Want[] = [];
  #sent: ReadonlySet<TrackId> = new Set();
  #videos: ReadonlyMap<TrackId, Shown> = new Map();
  #newest = { packet: -1, at: 0 };
  #viewTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(ledger: Ledger, loudspeaker: Loudspeaker) {
    super();
    this.#ledger = ledger;
    this.#loudspeaker = loudspeaker;
  }

  /** The host from which the call is shown, while it changes over the old one. */
  get front(): Path | null {
    return this.#front;
  }

  /** The host to which it changes over. */
  get next(): Path | null {
    return this.#turn?.path ?? null;
  }

  /** Does all come from `next`? */
  get isDone(): boolean {
    return this.#turn?.isDone ?? true;
  }

  /** Whose leg voices are heard from. */
  get heard(): Path | null {
    return this.#turn?.change.isHeard ? this.#turn.path : this.#front;
  }

  get wanted(): number {
    return this.#wants.length;
  }

  longestGap(track: TrackId, now: number): number | null {
    return this.#gaps.longest(track, now);
  }

  resetGaps(): void {
    this.#gaps.reset();
  }

  /** Says which pictures are on the screen and how large. Sent a little later, whole. */
  setWants(wants: readonly Want[]): void {
    this.#wants = wants;
    this.#viewTimer ??= setTimeout(() => {
      this.#viewTimer = undefined;
      this.apply();
    }, VIEW_DELAY_MS);
  }

  /** Who is there, for what they send. */
  setPeople(people: readonly ParticipantInfo[]): void {
    this.#sent = new Set(people.flatMap((person) => person.tracks.flatMap((track) => (track.muted ? [] : [track.id]))));
    this.apply();
  }

  setHidden(isHidden: boolean): void {
    this.#gaps.setHidden(isHidden);
    this.#ledger.line.clear();
    this.apply();
  }

  /** A picture was shown on the screen. */
  frame(track: TrackId, picture: Picture, stream?: MediaStream): void {
    this.#gaps.frame(track, picture.at, picture.skipped);
    this.#ledger.line.frame(track, picture);
    const turn = this.#turn;
    if (!turn || !stream || turn.change.hasArrived(track)) return;
    if (!turn.path.leg.videoSlots.some((slot) => slot.stream === stream)) return;
    turn.change.arrive(track);
    this.apply();
    this.#finishIfDone();
  }

  /** Begins to show everything from a host, at once. */
  enter(path: Path): void {
    this.#front = path;
    this.apply();
  }

  /** Begins to change over to another host, or goes on with it in another manner. */
  turn(path: Path, manner: Manner, epoch: Epoch): void {
    const front = this.#front;
    if (this.#turn?.path === path && this.#turn.there.leg === path.leg) {
      if (this.#turn.manner === 'suspicion' || manner === 'urgent') this.#turn.manner = manner;
      if (manner === 'urgent') this.#turn.change.hurry();
    } else if (front) {
      this.turnBack();
      const now = performance.now();
      this.#turn = {
        path, manner, epoch, isDone: false,
        change: new Changeover(now, manner !== 'planned'),
        account: this.#ledger.open(manner === 'planned' ? 'planned' : 'failover', epoch, front.leg, path.leg),
        here: new Listening(front.leg, now), there: new Listening(path.leg, now),
      };
      this.#loudspeaker.play(path.leg, false);
    }
    this.apply();
  }

  /** Stays where it was after all. */
  turnBack(): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    turn.account.close(false);
    this.#loudspeaker.play(turn.path.leg, false);
    this.#clear(turn.path.leg);
    if (this.#front) {
      this.#loudspeaker.play(this.#front.leg, true);
      this.emit('speakers', this.#front.speakers);
      if (turn.isDone) this.#ledger.open('planned', turn.epoch, turn.path.leg, this.#front.leg).close(false);
    }
    this.apply();
  }

  /** The host to which it changed over is the one that counts; what has not come yet will. */
  settle(): void {
    const [turn, front] = [this.#turn, this.#front];
    if (!turn || !front) return;
    this.#turn = null;
    this.#front = turn.path;
    turn.account.hear();
    turn.account.close(true);
    this.#loudspeaker.play(turn.path.leg, true);
    this.#loudspeaker.play(front.leg, false);
    this.#clear(front.leg);
    this.emit('speakers', turn.path.speakers);
    this.apply();
  }

  /** Time passes while it changes over. */
  tick(now: number): void {
    const turn = this.#turn;
    if (!turn || !this.#front) return;
    const { change } = turn;
    const packet = this.#front.leg.newestPacket;
    if (packet !== this.#newest.packet) this.#newest = { packet, at: now };
    const [before, after] = [turn.here.look(now), turn.there.look(now)];
    const mayHear = turn.manner === 'planned' ? turn.here.isSure(now) : this.#isFrontSilent(now);
    if (!change.isHeard && mayHear && change.isTimeToHear(turn.manner === 'planned' ? before : new Set(), after, now)) {
      change.hear();
      turn.account.hear();
      this.#loudspeaker.play(turn.path.leg, true);
      this.#loudspeaker.play(this.#front.leg, false);
      this.emit('speakers', turn.path.speakers);
    }
    this.apply();
    this.#finishIfDone();
  }

  /** What a host says of its slots and speakers. */
  hear(path: Path, message: PathFromHost): void {
    if (message.type === 'slots') {
      path.leg.shown = new Map(message.slots.map((shown) => [shown.slot, shown]));
      if (path === this.#front || path === this.#turn?.path) this.apply();
    } else if (message.type === 'speakers') {
      path.speakers = message.speakers;
      if (path === this.heard) this.emit('speakers', message.speakers);
    }
  }

  /** Says to the hosts in use what their slots shall show. */
  apply(): void {
    const [front, turn] = [this.#front, this.#turn];
    if (!front) return;
    const wants = this.#wants.filter((want) => this.#sent.has(want.track)).toSorted((a, b) => b.priority - a.priority);
    // Pictures that have changed over stay on the old leg as small as they can be: if the move fails, they are there at once.
    const spare = (want: Want): Want => (turn?.manner !== 'suspicion' && turn?.change.hasArrived(want.track) ? smallest(want) : want);
    this.#view(front.leg, wants.map(spare));
    if (turn?.path.isReady) {
      const asked = new Set(turn.change.ask(wants.map(({ track }) => track), performance.now()));
      const asks = wants.filter(({ track }) => asked.has(track));
      this.#view(turn.path.leg, turn.manner === 'suspicion' ? asks.map(smallest) : asks);
      for (const { track } of asks) if (NEVER_COMES.includes(pick(turn.path.leg, track)?.paused ?? null)) turn.change.arrive(track);
    }
    this.#compose();
  }

  /** Nothing is shown any more. */
  close(): void {
    clearTimeout(this.#viewTimer);
    this.#turn?.account.close(false);
    this.#turn = this.#front = null;
    this.#videos = new Map();
  }

  #view(leg: Leg, wants: readonly Want[]): void {
    leg.assigned = assignSlots(leg.videoMids, leg.assigned, wants);
    leg.tell({ type: 'view', slots: document.hidden ? [] : viewOf(leg.assigned, wants) });
    if (leg.growSlots(slotsNeeded(wants.length))) void leg.negotiate();
  }

  #clear(leg: Leg): void {
    leg.assigned = new Map();
    leg.tell({ type: 'view', slots: [] });
  }

  #compose(): void {
    const [front, turn] = [this.#front, this.#turn];
    if (!front) return;
    const now = performance.now();
    const mayShow = turn !== null && (turn.manner !== 'suspicion' || this.#isFrontSilent(now));
    const videos = new Map<TrackId, Shown>();
    for (const track of new Set([...front.leg.assigned.values(), ...(turn?.path.leg.assigned.values() ?? [])])) {
      const last = this.#videos.get(track);
      const there = turn && mayShow ? pick(turn.path.leg, track) : null;
      const shown = there && (there.paused === null || turn?.change.hasArrived(track)) ? there : pick(front.leg, track);
      if (shown === null) videos.set(track, last ?? { stream: null, paused: null, rid: null, slot: '', leg: front.leg.id });
      else videos.set(track, shown.paused === null ? shown : { ...shown, stream: last?.stream ?? null });
      if (shown !== null && shown.paused !== null) this.#pause(track);
    }
    // A new leg has no slots before its first answer: what the old one shows stays.
    if (front.leg.assigned.size === 0 && front.leg.videoMids.length === 0) for (const [track, last] of this.#videos) videos.set(track, last);
    for (const track of this.#videos.keys()) if (!videos.has(track)) this.#end(track);
    if (isSame(videos, this.#videos)) return;
    this.#videos = videos;
    this.emit('videos', videos);
  }

  #pause(track: TrackId): void {
    this.#gaps.pause(track);
    this.#ledger.line.pause(track);
  }

  #end(track: TrackId): void {
    this.#gaps.end(track);
    this.#ledger.line.pause(track);
  }

  #isFrontSilent(now: number): boolean {
    return this.#turn?.manner === 'urgent' || now - this.#newest.at >= DEAD_AFTER_MS;
  }

  #finishIfDone(): void {
    const turn = this.#turn;
    if (!turn || turn.isDone || turn.manner === 'suspicion') return;
    const wanted = document.hidden ? [] : this.#wants.filter((want) => this.#sent.has(want.track)).map(({ track }) => track);
    if (!turn.change.isDone(wanted, performance.now())) return;
    turn.isDone = true;
    turn.account.close(true);
    this.emit('done', turn.path);
  }
}

/** What a leg shows of a track, if its host has said so. */
function pick(leg: Leg, track: TrackId): Shown | null {
  for (const [slot, assigned] of leg.assigned) {
    const shown = leg.shown.get(slot);
    if (assigned !== track || shown?.track !== track) continue;
    const paused = shown.paused ?? null;
    const stream = leg.videoSlots.find(({ transceiver }) => transceiver.mid === slot)?.stream ?? null;
    return { stream: paused === null ? stream : null, paused, rid: shown.rid ?? null, slot, leg: leg.id };
  }
  return null;
}

function isSame(one: ReadonlyMap<TrackId, Shown>, other: ReadonlyMap<TrackId, Shown>): boolean {
  return one.size === other.size && [...one].every(([track, a]) => {
    const b = other.get(track);
    return b && a.stream === b.stream && a.paused === b.paused && a.rid === b.rid && a.slot === b.slot && a.leg === b.leg;
  });
}
