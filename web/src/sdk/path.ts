// The way to one host. Owns: the leg in use, the one before it until its successor is there, the reconnect ladder, the offers.
// Does not own: what is shown of it (`Stage`), which hosts there are (`hosting.ts`), what own tracks there are (`Call`).

import { backoff } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { checkGrant, fingerprintOf } from './grant.ts';
import type { Role, Seat } from './hosting.ts';
import { type LegEvent, UNHEARD_MS, step } from './ladder.ts';
import { Leg, type LegOptions, type OfferOut } from './leg.ts';
import type { ErrorCode, HostId, LegId, ParticipantId, PathFromHost, PeerMessage, RoomId, Source, TrackId, TrackInfo } from './protocol.gen.ts';
import { lastHeard } from './silence.ts';
/** One of the own sources. */
export interface Own {
  readonly track: MediaStreamTrack | null;
  readonly muted: boolean;
}

/** What the paths of a call share. */
export interface PathHome {
  readonly own: ReadonlyMap<Source, Own>;
  /** Numbers of own tracks, the same at every host. */
  readonly trackIds: Map<Source, TrackId>;
  /** False where signaling is away and the message is lost. */
  send(message: PeerMessage): boolean;
  newLeg(): LegId;
  legOptions(): Omit<LegOptions, 'publishes'>;
  /** ICE of this leg restarts, or has. */
  suspend(leg: Leg, isRestarting: boolean): void;
  /** This leg is about to be closed. */
  retire(leg: Leg): void;
  /** The host to which an offer goes that names none. */
  mine(): HostId | null;
  room(): RoomId;
  /** What verifies grants. */
  signingKey(): string | null;
}

type PathEvents = {
  /** The host said something. */
  message: PathFromHost;
  /** There is another leg, or its data channel opened, or its slots changed. */
  changed: undefined;
  /** A leg is connected that was not. */
  connected: { readonly before: Leg | null };
  /** The leg's connection came or went. */
  trouble: undefined;
  /** A leg could not be connected, for this many times now. */
  missed: number;
  /** A leg that was connected is dead. */
  failed: undefined;
};

/** How long the leg before stays, so that its last pictures do. */
export const DRAIN_MS = 3000;
/** What is of use to people is not known yet when a call has just come to a host. */
const BEGINNING_MS = 1500;
const WARM_MS = 1000;
const LISTEN_EVERY_MS = 50;
/** A leg that waits for its time can be tried again soon: nothing is lost meanwhile. */
const WAITING_CONNECT_MS = 1000;

export class Path extends Emitter<PathEvents> {
  readonly #home: PathHome;
  #seat: Seat;
  #leg: Leg;
  #before: Leg | null = null;
  #attempt = 0;
  #publishes: boolean;
  #isClosed = false;
  /** When own media began to go to a host that was only waiting before. */
  #beganAt = -BEGINNING_MS;
  #wantedTimer: ReturnType<typeof setTimeout> | undefined;
  /** Since when the leg is not connected, although one was before; by the clock of the page. */
  troubleSince: number | null = null;
  /** Since when the host is not named any more. */
  unnamedSince: number | null = null;
  /** When the call was shown from here last, if it is not now. */
  leftAt: number | null = null;
  /** Who speaks, as the host said last; the loudest first. */
  speakers: readonly ParticipantId[] = [];

  constructor(home: PathHome, seat: Seat, publishes: boolean) {
    super();
    this.#home = home;
    this.#seat = seat;
    this.#publishes = publishes;
    this.#leg = this.#open();
  }

  get host(): HostId {
    return this.#seat.host;
  }

  get seat(): Seat {
    return this.#seat;
  }

  get role(): Role {
    return this.#seat.role;
  }

  get leg(): Leg {
    return this.#leg;
  }

  get publishes(): boolean {
    return this.#publishes;
  }

  /** Connected, and the host can be told what to show. */
  get isReady(): boolean {
    return this.#leg.condition.at === 'connected' && this.#leg.isOpen;
  }

  /** What the host is to the participant now; its legs stay. */
  name(seat: Seat): void {
    this.#seat = seat;
    this.unnamedSince = null;
  }

  has(leg: LegId): boolean {
    return this.#leg.id === leg;
  }

  setPublishing(publishes: boolean): void {
    this.#publishes = publishes;
    this.#beganAt = performance.now();
    void this.#leg.setPublishing(publishes);
  }

  /** Opens a new leg; the one before stays until this one is there. */
  replace(): void {
    if (this.#isClosed) return;
    const old = this.#leg;
    const isWorthKeeping = this.#publishes && (this.#before === null || old.pc.connectionState === 'connected');
    this.#retire(isWorthKeeping ? this.#before : old);
    if (isWorthKeeping) this.#before = old;
    if (old.condition.at === 'dead') this.#home.send({ type: 'close_leg', leg: old.id });
    this.#leg = this.#open();
    this.emit('changed', undefined);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#wantedTimer);
    for (const leg of [this.#before, this.#leg]) this.#retire(leg);
    this.#before = null;
  }

  /** Something happened to the leg, or time passed. */
  step(leg: Leg, event: LegEvent): void {
    if (leg !== this.#leg || this.#isClosed) return;
    const now = performance.now();
    const { condition, measure } = step(leg.condition, event, now, this.#attempt);
    const before = leg.condition.at;
    const wasConnected = before === 'connected';
    const wasConnecting = before === 'connecting';
    leg.condition = condition;
    if (wasConnected && condition.at !== 'connected') this.troubleSince ??= now;
    if (condition.at !== before) this.#home.suspend(leg, condition.at === 'restarting');
    if (condition.at === 'connected' && !wasConnected) this.#settle();
    if (measure === 'restart_ice') void leg.restartIce();
    if (measure === 'replace' && this.unnamedSince === null) {
      this.#attempt += 1;
      this.replace();
      if (wasConnecting) this.emit('missed', this.#attempt);
    }
    if (measure === 'replace' && !wasConnecting) this.emit('failed', undefined);
    if (wasConnected || measure !== 'none') this.emit('trouble', undefined);
  }

  /** Says an offer again that has no answer yet. */
  repeat(): void {
    const { unanswered } = this.#leg;
    if (unanswered) this.#offer(this.#leg, unanswered);
  }

  /** The host's answer to an offer; false where it is not believed. */
  async answer(sdp: string, tracks: readonly TrackInfo[]): Promise<boolean> {
    const leg = this.#leg;
    try {
      await checkGrant(this.#seat, this.#home.room(), sdp, this.#home.signingKey());
      await leg.accept(sdp);
    } catch (error) {
      console.warn(`leg ${leg.id}: the answer of host ${this.host} is not taken:`, error);
      if (leg !== this.#leg) return false;
      this.refused('offer_rejected');
      this.emit('missed', this.#attempt);
      return false;
    }
    if (leg !== this.#leg) return false;
    const now = performance.now();
    if (leg.condition.at === 'connecting' && !this.#publishes) {
      leg.condition = { at: 'connecting', since: now, mostMs: WAITING_CONNECT_MS * 2 ** Math.min(4, this.#attempt) };
    }
    for (const track of tracks) this.#home.trackIds.set(track.source, track.id);
    if (leg.condition.at === 'restarting' && leg.pc.connectionState === 'connected') void this.#confirm(leg, now);
    this.#applyWanted();
    this.emit('changed', undefined);
    return true;
  }

  /** Signaling or the host refused something of this leg. */
  refused(code: ErrorCode): void {
    const refused = this.#leg;
    // Candidates and closes may cross the end of their leg; only what was said of an offer matters.
    if (code === 'not_found') return;
    setTimeout(() => {
      if (refused === this.#leg) this.replace();
    }, backoff(++this.#attempt, Math.random()));
  }

  /** Sends a track or none; true where that needs an offer. */
  setTrack(source: Source, own: Own): Promise<boolean> {
    return this.#leg.setTrack(source, own.track, own.muted);
  }

  negotiate(): Promise<void> {
    return this.#leg.negotiate();
  }

  async stopSource(source: Source): Promise<void> {
    await this.#leg.stopSource(source);
    await this.#leg.negotiate();
  }

  #open(): Leg {
    const leg = new Leg(this.#home.newLeg(), { ...this.#home.legOptions(), publishes: this.#publishes });
    leg.on('offer', (offer) => this.#offer(leg, offer));
    leg.on('candidate', (candidate) => this.#home.send({ type: 'candidate', leg: leg.id, candidate }));
    leg.on('path', (message) => { if (leg === this.#leg) this.#hear(message); });
    leg.on('ready', () => { if (leg === this.#leg) this.emit('changed', undefined); });
    leg.on('state', (state) => this.step(leg, state));
    void this.#start(leg);
    return leg;
  }

  async #start(leg: Leg): Promise<void> {
    for (const [source, own] of this.#home.own) await leg.setTrack(source, own.track, own.muted);
    await leg.negotiate();
  }

  #offer(leg: Leg, { sdp, tracks }: OfferOut): void {
    const { host, kind, epoch } = this.#seat;
    const fingerprint = kind === 'participant' ? fingerprintOf(sdp) : null;
    this.#home.send({
      type: 'offer', leg: leg.id, epoch, sdp, tracks,
      ...(host !== this.#home.mine() && { host }),
      ...(fingerprint !== null && { fingerprint }),
    });
  }

  #hear(message: PathFromHost): void {
    if (message.type === 'wanted') {
      this.#leg.wanted = message.tracks;
      this.#applyWanted();
    } else if (message.type === 'line') this.#leg.line = message.line;
    else if (message.type === 'lines') this.#leg.lines = message.lines;
    else this.emit('message', message);
  }

  /** Encodes only what somebody watches; nothing while alone. */
  #applyWanted(): void {
    // People come one after the other and start small: an encoder that stops and starts with each of them would only be late.
    const early = this.#beganAt + BEGINNING_MS - performance.now();
    if (early > 0) {
      clearTimeout(this.#wantedTimer);
      this.#wantedTimer = setTimeout(() => this.#applyWanted(), early);
      return;
    }
    for (const { track, layers } of this.#leg.wanted) {
      const source = [...this.#home.trackIds].find(([, id]) => id === track)?.[0];
      if (source) void this.#leg.setWanted(source, layers);
    }
  }

  /** A browser takes a connection for whole until ICE has waited for seconds: only what comes after the answer proves it. */
  async #confirm(leg: Leg, answeredAt: number): Promise<void> {
    while (leg === this.#leg && leg.condition.at === 'restarting' && leg.unanswered === null) {
      const heard = await lastHeard(leg.pc);
      if (heard === null || heard > performance.timeOrigin + answeredAt) return this.step(leg, 'connected');
      if (performance.now() - answeredAt > UNHEARD_MS) return this.step(leg, 'still_silent');
      await new Promise((done) => setTimeout(done, LISTEN_EVERY_MS));
    }
  }

  #settle(): void {
    const before = this.#before;
    this.#attempt = 0;
    this.troubleSince = null;
    this.emit('connected', { before });
    if (this.role === 'standby' && !this.#publishes) void this.#warm(this.#leg);
    if (!before) return;
    setTimeout(() => {
      if (this.#before !== before) return;
      this.#before = null;
      this.#retire(before);
    }, DRAIN_MS);
  }

  /** Encoders that have run once begin at once when they are needed; the first time takes some of them half a second. */
  async #warm(leg: Leg): Promise<void> {
    await leg.setPublishing(true);
    await new Promise((done) => setTimeout(done, WARM_MS));
    await leg.setPublishing(this.#publishes);
  }

  #retire(leg: Leg | null): void {
    if (!leg) return;
    if (leg.condition.at !== 'dead') this.#home.send({ type: 'close_leg', leg: leg.id });
    this.#home.retire(leg);
    leg.close();
  }
}

