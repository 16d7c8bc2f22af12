// A call as a program sees it. Owns: the room's state, own tracks, the leg in use and its successor, the reconnect ladder.
// Does not own: devices, elements, layout. State is a snapshot that is replaced, never changed.

import { Emitter } from './emitter.ts';
import { FrameGaps } from './gaps.ts';
import { type LegEvent, type Status, status, step } from './ladder.ts';
import type { VideoCodec } from './layers.ts';
import { Leg, type OfferOut } from './leg.ts';
import { Loudspeaker, voices } from './loudspeaker.ts';
import type {
  ErrorCode, Grants, HostTerm, IceServer, LeaveReason, ParticipantId, ParticipantInfo, PathFromHost, PauseReason, ServiceMessage, Source, TrackId,
  TrackInfo,
} from './protocol.gen.ts';
import { type Report, Reporter } from './report.ts';
import { Signaling } from './signaling.ts';
import { Silence, isHeard } from './silence.ts';
import { type Want, assignSlots, slotsNeeded, viewOf } from './slots.ts';
import { Speaking } from './speaking.ts';
import { backoff } from './backoff.ts';

export interface CallOptions {
  /** `ws:` or `wss:` address of signaling. */
  readonly url: string;
  readonly room: string;
  readonly name: string;
  readonly token?: string | undefined;
  readonly codec: VideoCodec;
}

/** One of the own sources. */
export interface Own {
  readonly track: MediaStreamTrack | null;
  readonly muted: boolean;
}

/** What is shown of a track. */
export interface Shown {
  readonly stream: MediaStream | null;
  readonly paused: PauseReason | null;
  readonly rid: string | null;
  readonly slot: string;
  readonly leg: number;
}

export interface ChatLine {
  readonly from: ParticipantId;
  readonly name: string;
  readonly text: string;
  readonly at: number;
  readonly isPrivate: boolean;
}

/** Why it is over. */
export type Ending =
  | { readonly why: 'left' }
  | { readonly why: 'removed'; readonly reason: LeaveReason }
  | { readonly why: 'refused'; readonly code: ErrorCode; readonly message: string };

export interface CallState {
  readonly status: Status;
  readonly ending: Ending | null;
  readonly room: string;
  readonly name: string;
  readonly me: ParticipantId;
  readonly host: HostTerm | null;
  readonly grants: Grants | null;
  readonly participants: readonly ParticipantInfo[];
  readonly own: ReadonlyMap<Source, Own>;
  readonly videos: ReadonlyMap<TrackId, Shown>;
  readonly speakers: readonly ParticipantId[];
  readonly speaking: ReadonlySet<ParticipantId>;
  readonly chat: readonly ChatLine[];
  readonly soundIsRefused: boolean;
}

/** Something that happened and is worth a word. */
export type Notice =
  | { readonly what: 'joined' | 'gone'; readonly name: string }
  | { readonly what: 'muted_by'; readonly name: string }
  | { readonly what: 'refused'; readonly code: ErrorCode; readonly message: string };

const TICK_MS = 250;
const VIEW_DELAY_MS = 100;
/** How long the leg before stays, so that its last pictures do. */
const DRAIN_MS = 3000;
const MOST_LINES = 500;
const NO_CAMERA_WIDTH = 1280;

/** How long signaling itself waits for somebody to come back. */
const RETURN_WITHIN_MS = 30_000;

export class Call extends Emitter<{ state: CallState; notice: Notice }> {
  readonly #options: CallOptions;
  readonly #signaling: Signaling;
  readonly #loudspeaker = new Loudspeaker(() => this.#update({}));
  readonly #speaking = new Speaking();
  readonly #gaps = new FrameGaps();
  readonly #silence = new Silence();
  readonly #reporter = new Reporter();
  readonly #own = new Map<Source, Own>();
  readonly #trackIds = new Map<Source, TrackId>();
  #state: CallState;
  #iceServers: readonly IceServer[] = [];
  /** People that a restarted signaling service has not seen again yet. */
  #awaited: Set<ParticipantId> = new Set();
  #leg: Leg | null = null;
  #before: Leg | null = null;
  #legs = 0;
  #attempt = 0;
  #wants: readonly Want[] = [];
  #viewTimer: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #lostAt: number | null = null;
  #troubleAt: number | null = null;
  #wasConnected = false;

  constructor(options: CallOptions) {
    super();
    this.#options = options;
    this.#state = {
      status: 'joining', ending: null, room: options.room, name: options.name, me: 0, host: null, grants: null, participants: [],
      own: this.#own, videos: new Map(), speakers: [], speaking: new Set(), chat: [], soundIsRefused: false,
    };
    this.#signaling = new Signaling(options.url, options);
    this.#signaling.on('message', (message) => this.#handleService(message));
    this.#signaling.on('up', () => { this.#lostAt = null; });
    this.#signaling.on('lost', (at) => { this.#lostAt ??= at; });
  }

  get state(): CallState {
    return this.#state;
  }

  open(): void {
    this.#signaling.open();
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    document.addEventListener('visibilitychange', this.#visibility);
    globalThis.addEventListener('online', this.#network);
    connectionOf(navigator)?.addEventListener('change', this.#network);
  }

  leave(): void {
    this.#signaling.send({ type: 'leave' });
    this.#end({ why: 'left' });
  }

  /** Sends a track. The call does not stop tracks that it is given, but for the camera, whose light goes out when it is muted. */
  async publish(source: Source, track: MediaStreamTrack, muted = false): Promise<void> {
    if (source === 'microphone' || source === 'screen_audio') track.enabled = !muted;
    this.#own.set(source, { track, muted });
    this.#update({});
    const needsOffer = (await this.#leg?.setTrack(source, track, muted)) ?? false;
    this.#tellMuted(source, muted);
    if (needsOffer) await this.#leg?.negotiate();
  }

  async mute(source: Source, muted: boolean): Promise<void> {
    const own = this.#own.get(source);
    if (!own || own.muted === muted) return;
    this.#tellMuted(source, muted);
    const isCamera = source === 'camera';
    const track = isCamera && muted ? null : own.track;
    if (own.track) own.track.enabled = !muted;
    this.#own.set(source, { track, muted });
    this.#update({});
    await this.#leg?.setTrack(source, track, muted);
    if (isCamera && muted) own.track?.stop();
  }

  async unpublish(source: Source): Promise<void> {
    this.#own.get(source)?.track?.stop();
    this.#own.delete(source);
    this.#trackIds.delete(source);
    this.#update({});
    await this.#leg?.stopSource(source);
    await this.#leg?.negotiate();
  }

  /** Says which pictures are on the screen and how large. Sent to the host a little later, whole. */
  setWants(wants: readonly Want[]): void {
    this.#wants = wants;
    this.#viewTimer ??= setTimeout(() => {
      this.#viewTimer = undefined;
      this.#applyView();
    }, VIEW_DELAY_MS);
  }

  /** A picture of a track was shown. */
  frame(track: TrackId, now: number, skipped: number): void {
    this.#gaps.frame(track, now, skipped);
  }

  say(text: string, to?: ParticipantId): boolean {
    return this.#signaling.send({ type: 'chat', text, ...(to !== undefined && { to }) });
  }

  kick(participant: ParticipantId): void {
    this.#signaling.send({ type: 'kick', participant });
  }

  muteOther(track: TrackId): void {
    this.#signaling.send({ type: 'mute_other', track });
  }

  resumeSound(): void {
    this.#loudspeaker.resume();
  }

  setSpeaker(deviceId: string): void {
    this.#loudspeaker.setSink(deviceId);
  }

  /** Codecs are chosen when a leg is made, so another choice makes another leg. */
  setCodec(codec: VideoCodec): void {
    if (codec === this.#options.codec) return;
    Object.assign(this.#options, { codec });
    if (this.#leg) this.#replace();
  }

  report(): Promise<Report> {
    const longestGap = (track: TrackId): number | null => this.#gaps.longest(track, performance.now());
    const levels = (participant: ParticipantId): number => this.#speaking.level(participant);
    return this.#reporter.report(this.#state, this.#leg, this.#trackIds, longestGap, levels);
  }

  resetGaps(): void {
    this.#gaps.reset();
  }

  // ---- signaling ------------------------------------------------------------------------------------------------

  #handleService(message: ServiceMessage): void {
    switch (message.type) {
      case 'joined': {
        this.#iceServers = message.ice_servers;
        const { me, grants, host, participants, room } = message;
        const stays = message.resumed && this.#leg !== null && this.#state.host?.epoch === host.epoch && this.#state.host.host === host.host;
        const self = participants.find((participant) => participant.id === me);
        const missing = stays ? this.#state.participants.filter((old) => !participants.some((other) => other.id === old.id)) : [];
        const everybody = [...participants, ...missing.map((old) => ({ ...old, connected: false }))];
        this.#update({ me, grants, host, participants: everybody, room, name: self?.name ?? this.#state.name });
        this.#await(missing.map((old) => old.id));
        if (stays) this.#catchUp();
        else this.#replace();
        return;
      }
      case 'participant': {
        const { participant } = message;
        const { me, participants } = this.#state;
        this.#awaited.delete(participant.id);
        const known = participants.some((other) => other.id === participant.id);
        const next = known ? participants.map((other) => (other.id === participant.id ? participant : other)) : [...participants, participant];
        this.#update({ participants: next });
        if (!known && participant.id !== me) this.emit('notice', { what: 'joined', name: participant.name });
        this.#applyView();
        return;
      }
      case 'participant_left': {
        const gone = this.#state.participants.find((other) => other.id === message.participant);
        this.#update({ participants: this.#state.participants.filter((other) => other !== gone) });
        if (gone) this.emit('notice', { what: 'gone', name: gone.name });
        this.#applyView();
        return;
      }
      case 'answer':
        void this.#handleAnswer(message.leg, message.sdp, message.tracks);
        return;
      case 'leg_closed':
        if (message.leg === this.#leg?.id) this.#stepLeg(this.#leg, 'closed');
        return;
      case 'host_changed':
        this.#update({ host: message.host });
        this.#replace();
        return;
      case 'muted_by_moderator': {
        const source = [...this.#trackIds].find(([, id]) => id === message.track)?.[0];
        if (source) void this.mute(source, true);
        this.emit('notice', { what: 'muted_by', name: this.#state.participants.find((other) => other.id === message.by)?.name ?? '' });
        return;
      }
      case 'chat': {
        const { from, name, text, at_ms: at, to } = message;
        this.#update({ chat: [...this.#state.chat, { from, name, text, at, isPrivate: to !== undefined }].slice(-MOST_LINES) });
        return;
      }
      case 'removed':
        this.#end({ why: 'removed', reason: message.reason });
        return;
      case 'error':
        this.#handleRefusal(message.code, message.message, message.leg, message.fatal);
        return;
      case 'hosting':
      case 'host_token':
      case 'pong':
      case 'unknown':
        return;
      default:
        message satisfies never;
    }
  }

  #handleRefusal(code: ErrorCode, message: string, leg: number | undefined, fatal: boolean): void {
    if (fatal && code !== 'internal' && code !== 'too_fast') {
      if (this.#wasConnected && (code === 'unauthorized' || code === 'not_found')) this.#signaling.forget();
      else this.#end({ why: 'refused', code, message });
      return;
    }
    if (leg !== undefined) {
      const refused = this.#leg;
      // Candidates and closes may cross the end of their leg; only what was said of an offer matters.
      if (refused?.id !== leg || code === 'not_found') return;
      setTimeout(() => {
        if (refused === this.#leg) this.#replace();
      }, backoff(++this.#attempt, Math.random()));
      return;
    }
    this.emit('notice', { what: 'refused', code, message });
  }

  async #handleAnswer(legId: number, sdp: string, tracks: readonly TrackInfo[]): Promise<void> {
    const leg = this.#leg;
    if (!leg || leg.id !== legId) return;
    try {
      await leg.accept(sdp);
    } catch (error) {
      console.warn(`leg ${legId}: the answer does not fit:`, error);
      this.#stepLeg(leg, 'failed');
      return;
    }
    this.#trackIds.clear();
    for (const track of tracks) {
      this.#trackIds.set(track.source, track.id);
      const own = this.#own.get(track.source);
      if (own && own.muted !== track.muted) this.#tellMuted(track.source, own.muted);
    }
    if (leg.condition.at === 'restarting' && leg.pc.connectionState === 'connected') this.#stepLeg(leg, 'connected');
    this.#applyWanted(leg);
    this.#applyView();
  }

  /** Back with a socket after some time without: say again what may have been lost. */
  #catchUp(): void {
    const offer = this.#leg?.unanswered;
    if (this.#leg && offer) this.#sendOffer(this.#leg, offer);
    for (const [source, own] of this.#own) this.#tellMuted(source, own.muted);
  }

  #tellMuted(source: Source, muted: boolean): void {
    const track = this.#trackIds.get(source);
    if (track !== undefined) this.#signaling.send({ type: 'mute', track, muted });
  }

  // ---- legs -----------------------------------------------------------------------------------------------------

  /** Opens a new leg; the one before stays until this one is there. */
  #replace(): void {
    if (this.#state.ending || !this.#signaling.isJoined) return;
    const old = this.#leg;
    if (old && (this.#before === null || old.pc.connectionState === 'connected')) {
      this.#retire(this.#before);
      this.#before = old;
    } else this.#retire(old);
    if (old?.condition.at === 'dead') this.#signaling.send({ type: 'close_leg', leg: old.id });
    const width = this.#own.get('camera')?.track?.getSettings().width ?? NO_CAMERA_WIDTH;
    const leg = new Leg(++this.#legs, {
      iceServers: this.#iceServers, codec: this.#options.codec, videoSlots: slotsNeeded(this.#wants.length), cameraWidth: width,
    });
    this.#leg = leg;
    this.#trackIds.clear();
    leg.on('offer', (offer) => this.#sendOffer(leg, offer));
    leg.on('candidate', (candidate) => this.#signaling.send({ type: 'candidate', leg: leg.id, candidate }));
    leg.on('path', (message) => { if (leg === this.#leg) this.#handlePath(leg, message); });
    leg.on('ready', () => this.#applyView());
    leg.on('state', (state) => this.#stepLeg(leg, state));
    void this.#start(leg);
  }

  async #start(leg: Leg): Promise<void> {
    for (const [source, own] of this.#own) await leg.setTrack(source, own.track, own.muted);
    await leg.negotiate();
  }

  #sendOffer(leg: Leg, offer: OfferOut): void {
    const epoch = this.#state.host?.epoch;
    if (epoch !== undefined) this.#signaling.send({ type: 'offer', leg: leg.id, epoch, ...offer });
  }

  #stepLeg(leg: Leg, event: LegEvent): void {
    if (leg !== this.#leg) return;
    const { condition, measure } = step(leg.condition, event, performance.now(), this.#attempt);
    const wasConnected = leg.condition.at === 'connected';
    leg.condition = condition;
    if (condition.at === 'connected' && !wasConnected) this.#settle(leg);
    if (wasConnected && condition.at !== 'connected') this.#troubleAt ??= performance.now();
    if (measure === 'restart_ice') void leg.restartIce();
    if (measure === 'replace') {
      this.#attempt += 1;
      this.#replace();
    }
    this.#refreshStatus();
  }

  #settle(leg: Leg): void {
    this.#attempt = 0;
    this.#troubleAt = null;
    this.#wasConnected = true;
    this.#loudspeaker.play(leg);
    const before = this.#before;
    if (!before) return;
    this.#loudspeaker.stop(before);
    setTimeout(() => {
      if (this.#before !== before) return;
      this.#before = null;
      this.#retire(before);
    }, DRAIN_MS);
  }

  #retire(leg: Leg | null): void {
    if (!leg) return;
    if (leg.condition.at !== 'dead') this.#signaling.send({ type: 'close_leg', leg: leg.id });
    this.#loudspeaker.stop(leg);
    leg.close();
  }

  // ---- what is shown --------------------------------------------------------------------------------------------

  #applyView(): void {
    const leg = this.#leg;
    if (!leg) return;
    const sent = new Set(this.#state.participants.flatMap((other) => other.tracks.flatMap((track) => (track.muted ? [] : [track.id]))));
    const wants = this.#wants.filter((want) => sent.has(want.track));
    leg.assigned = assignSlots(leg.videoMids, leg.assigned, wants);
    leg.tell({ type: 'view', slots: document.hidden ? [] : viewOf(leg.assigned, wants) });
    this.#updateVideos(leg);
    if (leg.growSlots(slotsNeeded(wants.length))) void leg.negotiate();
  }

  /** A signaling service that started over knows people only as they come back: their pictures stay meanwhile. */
  #await(missing: readonly ParticipantId[]): void {
    this.#awaited = new Set(missing);
    const awaited = this.#awaited;
    if (missing.length > 0) setTimeout(() => this.#giveUp(awaited), RETURN_WITHIN_MS);
  }

  #giveUp(gone: ReadonlySet<ParticipantId>): void {
    const participants = this.#state.participants.filter((other) => !gone.has(other.id));
    if (participants.length === this.#state.participants.length) return;
    this.#update({ participants });
    this.#applyView();
  }

  #handlePath(leg: Leg, message: PathFromHost): void {
    if (message.type === 'slots') {
      leg.shown = new Map(message.slots.map((shown) => [shown.slot, shown]));
      const ended = new Set(message.slots.filter((shown) => shown.paused === 'gone').map((shown) => shown.track));
      const gone = this.#state.participants.filter((other) => this.#awaited.has(other.id) && other.tracks.some((track) => ended.has(track.id)));
      if (gone.length > 0) this.#giveUp(new Set(gone.map((other) => other.id)));
      this.#updateVideos(leg);
    } else if (message.type === 'speakers') {
      this.#update({ speakers: message.speakers });
    } else if (message.type === 'wanted') {
      leg.wanted = message.tracks;
      this.#applyWanted(leg);
    }
  }

  /** Encodes only what somebody watches; nothing while alone. */
  #applyWanted(leg: Leg): void {
    for (const { track, layers } of leg.wanted) {
      const source = [...this.#trackIds].find(([, id]) => id === track)?.[0];
      if (source) void leg.setWanted(source, layers);
    }
  }

  #updateVideos(leg: Leg): void {
    const previous = this.#state.videos;
    const videos = new Map<TrackId, Shown>();
    for (const [slot, track] of leg.assigned) {
      const last = previous.get(track);
      const shown = leg.shown.get(slot);
      if (shown?.track !== track) {
        videos.set(track, last ?? { stream: null, paused: null, rid: null, slot, leg: leg.id });
        continue;
      }
      const paused = shown.paused ?? null;
      const stream = leg.videoSlots.find(({ transceiver }) => transceiver.mid === slot)?.stream ?? null;
      videos.set(track, { stream: paused === null ? stream : (last?.stream ?? null), paused, rid: shown.rid ?? null, slot, leg: leg.id });
      if (paused !== null) this.#gaps.pause(track);
    }
    // A new leg has no slots before its first answer: what the old one shows stays.
    if (leg.assigned.size === 0 && leg.videoMids.length === 0) for (const [track, last] of previous) videos.set(track, last);
    for (const track of previous.keys()) if (!videos.has(track)) this.#gaps.end(track);
    this.#update({ videos });
  }

  // ---- time -----------------------------------------------------------------------------------------------------

  #tick(): void {
    if (this.#leg) this.#stepLeg(this.#leg, 'tick');
    this.#refreshStatus();
    const now = performance.now();
    if (this.#leg && this.#silence.look(this.#leg.newestPacket, now)) void this.#suspect(this.#leg);
    for (const { participant, level, slot } of this.#leg ? voices(this.#leg) : []) {
      if (level !== null) this.#speaking.hear(participant, level, now);
      else void this.#hearByStats(participant, slot.transceiver.receiver);
    }
    const speaking = this.#speaking.at(now);
    if (speaking.symmetricDifference(this.#state.speaking as Set<ParticipantId>).size > 0) this.#update({ speaking });
  }

  async #hearByStats(participant: ParticipantId, receiver: RTCRtpReceiver): Promise<void> {
    for (const stats of (await receiver.getStats()).values()) {
      if (stats.type === 'inbound-rtp') this.#speaking.hear(participant, stats.audioLevel ?? 0, performance.now());
    }
  }

  #refreshStatus(): void {
    const times = [this.#lostAt, this.#troubleAt].filter((time) => time !== null);
    const next = status(this.#wasConnected, times.length > 0 ? Math.min(...times) : null, performance.now());
    if (next !== this.#state.status) this.#update({ status: next });
  }

  readonly #visibility = (): void => {
    this.#gaps.setHidden(document.hidden);
    this.#applyView();
  };

  readonly #network = (): void => {
    this.#signaling.probe();
    if (this.#leg) this.#stepLeg(this.#leg, 'network_changed');
  };

  /** All sound and pictures stopped at once: everybody is muted, or the line is gone and ICE does not know yet. */
  async #suspect(leg: Leg): Promise<void> {
    if (await isHeard(leg.pc, performance.timeOrigin + performance.now())) return;
    if (leg === this.#leg) this.#network();
  }

  #end(ending: Ending): void {
    if (this.#state.ending) return;
    clearInterval(this.#ticker);
    clearTimeout(this.#viewTimer);
    document.removeEventListener('visibilitychange', this.#visibility);
    globalThis.removeEventListener('online', this.#network);
    connectionOf(navigator)?.removeEventListener('change', this.#network);
    for (const leg of [this.#before, this.#leg]) this.#retire(leg);
    this.#leg = this.#before = null;
    for (const own of this.#own.values()) own.track?.stop();
    this.#signaling.close();
    this.#update({ ending, videos: new Map() });
  }

  #update(change: Partial<CallState>): void {
    this.#state = { ...this.#state, ...change, own: new Map(this.#own), soundIsRefused: this.#loudspeaker.isRefused };
    this.emit('state', this.#state);
  }
}

/** The Network Information API, where there is one. */
function connectionOf(from: Navigator): EventTarget | undefined {
  const connection: unknown = Reflect.get(from, 'connection');
  return connection instanceof EventTarget ? connection : undefined;
}
