// Which hosts there are paths to, and from which of them the call is shown. Owns: the newest `Hosting`, what is believed of the host's
// silence, what signaling is told of moves and losses. Does not own: legs (`Path`), what is shown (`Stage`), what follows from a `Hosting`.

import { Emitter } from './emitter.ts';
import { type Alarm, audiences, counts, goalOf, hostingOf, seatsOf } from './hosting.ts';
import type { Leg } from './leg.ts';
import { DRAIN_MS, Path, type PathHome } from './path.ts';
import type { HostId, HostTerm, Hosting, LegId, MoveStep, ParticipantId, TrackId } from './protocol.gen.ts';
import type { Finding } from './pulse.ts';
import type { Manner, Stage } from './stage.ts';

type HostsEvents = {
  hosting: Hosting | null;
  /** The call is shown from another host. */
  front: undefined;
  /** Something changes over: time shall pass quickly. */
  hurry: boolean;
  connected: { readonly path: Path; readonly before: Leg | null };
  /** A connection came or went. */
  health: undefined;
  /** The host says that these tracks are gone. */
  ended: ReadonlySet<TrackId>;
};

/** A host that so many legs could not be connected to is out of reach. */
const MOST_MISSED = 2;

export class Hosts extends Emitter<HostsEvents> {
  readonly #stage: Stage;
  readonly #home: PathHome;
  readonly #paths = new Map<HostId, Path>();
  #hosting: Hosting | null = null;
  #me: ParticipantId = 0;
  #avoids = false;
  #isJoined = false;
  #alarm: Alarm = 'none';
  /** What signaling was told last of a move. */
  #told = '';

  constructor(stage: Stage, home: Omit<PathHome, 'mine'>) {
    super();
    this.#stage = stage;
    this.#home = { ...home, mine: () => this.#hosting?.mine ?? null };
    stage.on('done', () => this.#arrange());
  }

  get paths(): readonly Path[] {
    return [...this.#paths.values()];
  }

  to(host: HostId): Path | undefined {
    return this.#paths.get(host);
  }

  /** The path that has this leg in use. */
  of(leg: LegId): Path | undefined {
    return this.paths.find((path) => path.has(leg));
  }

  #isTerm(term: HostTerm): boolean {
    const known = this.#hosting?.term;
    return known !== undefined && known.epoch === term.epoch && known.host === term.host;
  }

  /** Signaling has let one in. `stays`: as who one was, so that legs are still good. */
  join(me: ParticipantId, term: HostTerm, stays: boolean): void {
    this.#me = me;
    this.#isJoined = true;
    this.#told = '';
    if (!stays) this.#leaveLegs();
    else for (const path of this.paths) path.repeat();
    // A restarted signaling may know of older terms only, until it hears of this one.
    const known = this.#hosting?.term;
    if (stays && known && (this.#isTerm(term) || term.epoch < known.epoch)) return this.#arrange();
    this.#hosting = null;
    this.emit('hosting', null);
    // A participant's computer is not called before it is known who it is and whether one may: `hosting` follows at once.
    if (term.kind === 'central' || this.#paths.has(term.host)) this.follow(hostingOf(term));
  }

  /** Signaling says who carries the call. */
  follow(hosting: Hosting): void {
    if (!counts(this.#hosting, hosting)) return;
    if (this.#hosting?.term.epoch !== hosting.term.epoch) this.#alarm = 'none';
    this.#hosting = hosting;
    this.emit('hosting', hosting);
    this.#arrange();
  }

  /** Never to another participant's computer, from now on. */
  avoid(avoids: boolean): void {
    this.#avoids = avoids;
    this.#arrange();
  }

  /** What was found out about the heart of a leg's host. */
  believe(leg: LegId, { alarm, isLost, silentFor }: Finding): void {
    if (!this.#isMine(this.of(leg))) return;
    this.#alarm = alarm;
    if (isLost) this.#tellLost(silentFor);
    this.#arrange();
  }

  /** Time passed. */
  tick(): void {
    for (const path of this.paths) path.step(path.leg, 'tick');
    this.#arrange();
  }

  close(): void {
    this.#isJoined = false;
    this.#hosting = null;
    for (const path of this.paths) this.#close(path);
  }

  /** Makes the paths what they shall be: one to each host that is named; the call shown from the one that shall carry it. */
  #arrange(): void {
    const hosting = this.#hosting;
    if (!hosting || !this.#isJoined) return;
    const now = performance.now();
    const seats = seatsOf(hosting, this.#avoids, this.#me);
    const audience = audiences(hosting, this.#alarm);
    for (const seat of seats) {
      const path = this.#paths.get(seat.host);
      if (path) path.name(seat);
      else this.#paths.set(seat.host, this.#listen(new Path(this.#home, seat, audience.has(seat.host))));
    }
    for (const path of this.paths) if (!seats.some((seat) => seat.host === path.host)) path.unnamedSince ??= now;
    this.#direct(hosting, now);
    const { front, next } = this.#stage;
    for (const path of this.paths) {
      const isInUse = path === front || path === next;
      const isDraining = path.leftAt !== null && now - path.leftAt < DRAIN_MS;
      if (!isInUse && path.unnamedSince !== null && now - path.unnamedSince >= DRAIN_MS) this.#close(path);
      else if (path.publishes !== (isInUse || isDraining || audience.has(path.host))) path.setPublishing(!path.publishes);
    }
    this.emit('hurry', next !== null);
    this.#tellProgress(hosting);
  }

  /** Is it to the host that serves one in the present term? One that did before may well be silent. */
  #isMine(path: Path | undefined): boolean {
    return path !== undefined && path.host === this.#hosting?.mine;
  }

  /** Shows the call from where it shall be shown from, as soon as that host is there. */
  #direct(hosting: Hosting, now: number): void {
    const stage = this.#stage;
    const goal = this.#paths.get(goalOf(hosting, this.#alarm));
    const before = stage.front;
    if (!before && goal) stage.enter(goal);
    else if (goal === before || (stage.next && !stage.next.isReady)) stage.turnBack();
    else if (goal?.isReady) stage.turn(goal, this.#manner(hosting), hosting.moving?.epoch ?? hosting.term.epoch);
    const isDecided = stage.next !== null && (hosting.mine === stage.next.host || this.#alarm === 'silent');
    if (isDecided && stage.isDone) stage.settle();
    if (stage.front === before || !stage.front) return;
    if (before) before.leftAt = now;
    stage.front.leftAt = null;
    this.emit('front', undefined);
    this.emit('health', undefined);
  }

  #manner(hosting: Hosting): Manner {
    if (this.#alarm === 'suspect') return 'suspicion';
    const { front } = this.#stage;
    const isServed = front !== null && front.isReady && front.unnamedSince === null;
    return this.#alarm === 'none' && (hosting.moving?.phase === 'switch' || isServed) ? 'planned' : 'urgent';
  }

  #listen(path: Path): Path {
    path.on('message', (message) => {
      if (message.type === 'slots' && path === this.#stage.front) {
        this.emit('ended', new Set(message.slots.filter((shown) => shown.paused === 'gone').map((shown) => shown.track)));
      }
      this.#stage.hear(path, message);
    });
    path.on('changed', () => {
      this.#stage.apply();
      this.#arrange();
    });
    path.on('connected', ({ before }) => {
      this.emit('connected', { path, before });
      // A host to which there is a new leg is not gone.
      if (this.#isMine(path)) this.#alarm = 'none';
      this.#arrange();
    });
    path.on('failed', () => {
      if (!this.#isMine(path) || !this.#hosting?.standby) return;
      this.#alarm = 'silent';
      this.#tellLost(0);
      this.#arrange();
    });
    path.on('missed', (count) => {
      if (count < MOST_MISSED || path.role === 'standby' || path.seat.kind === 'central') return;
      this.#home.send({ type: 'move_progress', epoch: path.seat.epoch, step: 'failed' });
    });
    path.on('trouble', () => this.emit('health', undefined));
    return path;
  }

  /** One is somebody new in the room: the legs of who one was are of no use. */
  #leaveLegs(): void {
    this.#stage.turnBack();
    for (const path of this.paths) {
      if (path === this.#stage.front) path.replace();
      else this.#close(path);
    }
  }

  #close(path: Path): void {
    this.#paths.delete(path.host);
    path.close();
  }

  #tellProgress({ moving }: Hosting): void {
    const path = moving && this.#paths.get(moving.to.host);
    if (!moving || !path?.isReady) return;
    const step: MoveStep = moving.phase === 'switch' && this.#stage.next === path && this.#stage.isDone ? 'switched' : 'ready';
    const words = `${moving.epoch} ${step}`;
    if (words !== this.#told && this.#home.send({ type: 'move_progress', epoch: moving.epoch, step })) this.#told = words;
  }

  #tellLost(silentFor: number): void {
    const epoch = this.#hosting?.term.epoch;
    if (epoch !== undefined) this.#home.send({ type: 'host_lost', epoch, silent_ms: Math.round(silentFor) });
  }
}
