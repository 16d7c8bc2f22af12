// A call as a program sees it. Owns: the room's state, own tracks, which hosts there are paths to and where the call is shown from.
// Does not own: devices, elements, layout; legs (`Path`), what is shown (`Stage`). State is a snapshot that is replaced, never changed.

import { Emitter } from './emitter.ts';
import { Heartbeat } from './heartbeat.ts';
import { hostingOf, standInOf } from './hosting.ts';
import { Hosts } from './hosts.ts';
import { type Status, status } from './ladder.ts';
import type { VideoCodec } from './layers.ts';
import { Ledger } from './ledger.ts';
import type { Leg } from './leg.ts';
import { Loudspeaker, voices } from './loudspeaker.ts';
import type { Own, Path } from './path.ts';
import type {
  Direction, ErrorCode, Grants, HostId, HostSeat, HostTerm, Hosting, HostingPolicy, IceServer, Joined, LeaveReason, LegId, LineScore, ParticipantId, ParticipantInfo,
  ServiceMessage, Source, TrackId, TrackInfo,
} from './protocol.gen.ts';
import { type Report, Reporter } from './report.ts';
import { Roster } from './roster.ts';
import { Signaling } from './signaling.ts';
import { SUSPICIOUS_MS, Silence, lastHeard } from './silence.ts';
import { type Want, slotsNeeded } from './slots.ts';
import { Speaking } from './speaking.ts';
import { type Shown, Stage } from './stage.ts';
import type { Picture } from './surface.ts';
import { isLimitedByLine } from './upload.ts';

export interface CallOptions {
  /** `ws:` or `wss:` address of signaling. */
  readonly url: string;
  readonly room: string;
  readonly name: string;
  readonly token?: string | undefined;
  readonly codec: VideoCodec;
  /** Never connect to another participant's computer, which would show it the own address. */
  readonly usesServer?: boolean | undefined;
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
  /** Who carries the call, who may, and a move under way; null until signaling has said so. */
  readonly hosting: Hosting | null;
  /** Who carries the call after `host` died, until signaling names the next one. */
  readonly standIn: HostSeat | null;
  readonly usesServer: boolean;
  /** A link to where signaling will be, if the computer dies on which it is alone. */
  readonly refuge: string | null;
  readonly grants: Grants | null;
  readonly participants: readonly ParticipantInfo[];
  readonly own: ReadonlyMap<Source, Own>;
  readonly videos: ReadonlyMap<TrackId, Shown>;
  readonly speakers: readonly ParticipantId[];
  readonly speaking: ReadonlySet<ParticipantId>;
  /** Whose line does badly, and where; who is not named does well. */
  readonly lines: ReadonlyMap<ParticipantId, LineScore>;
  readonly chat: readonly ChatLine[];
  readonly soundIsRefused: boolean;
}

/** Something that happened and is worth a word. */
export type Notice =
  | { readonly what: 'joined' | 'gone'; readonly name: string }
  | { readonly what: 'muted_by'; readonly name: string }
  | { readonly what: 'slow_line'; readonly cause: Direction }
  | { readonly what: 'refused'; readonly code: ErrorCode; readonly message: string };

const TICK_MS = 250;
const MOST_LINES = 500;
const NO_CAMERA_WIDTH = 1280;

export class Call extends Emitter<{ state: CallState; notice: Notice }> {
  readonly #options: CallOptions;
  readonly #signaling: Signaling;
  readonly #heartbeat = new Heartbeat();
  readonly #loudspeaker = new Loudspeaker(() => this.#update({}));
  readonly #ledger = new Ledger();
  readonly #stage = new Stage(this.#ledger, this.#loudspeaker);
  readonly #roster = new Roster(() => this.#spreadRoster());
  readonly #speaking = new Speaking();
  readonly #reporter = new Reporter();
  readonly #own = new Map<Source, Own>();
  readonly #trackIds = new Map<Source, TrackId>();
  readonly #hosts = new Hosts(this.#stage, {
    own: this.#own,
    trackIds: this.#trackIds,
    send: (message) => this.#signaling.send(message),
    newLeg: () => ++this.#legs,
    legOptions: () => ({
      iceServers: this.#iceServers, codec: this.#options.codec, videoSlots: slotsNeeded(this.#stage.wanted), heartbeat: this.#heartbeat,
      cameraWidth: this.#own.get('camera')?.track?.getSettings().width ?? NO_CAMERA_WIDTH,
    }),
    suspend: (leg, isRestarting) => this.#heartbeat.suspend(leg.id, isRestarting),
    retire: (leg) => this.#loudspeaker.stop(leg),
    room: () => this.#state.room,
    signingKey: () => this.#signingKey,
  });
  #state: CallState;
  #iceServers: readonly IceServer[] = [];
  #signingKey: string | null = null;
  #legs = 0;
  #silence = new Silence();
  #lines: readonly LineScore[] = [];
  /** Does the service say `hosting`? Older ones only say who is host. */
  #saysHosting = false;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #lostAt: number | null = null;
  #wasConnected = false;

  constructor(options: CallOptions) {
    super();
    this.#options = options;
    this.#state = {
      status: 'joining', ending: null, room: options.room, name: options.name, me: 0, host: null, hosting: null, standIn: null,
      usesServer: options.usesServer ?? false, refuge: null, grants: null, participants: [], own: this.#own, videos: new Map(), speakers: [],
      speaking: new Set(), lines: new Map(), chat: [], soundIsRefused: false,
    };
    this.#signaling = new Signaling(options.url, options);
    this.#signaling.on('message', (message) => this.#handleService(message));
    this.#signaling.on('up', () => { this.#lostAt = null; });
    this.#signaling.on('lost', (at) => { this.#lostAt ??= at; });
    this.#stage.on('videos', (videos) => this.#update({ videos }));
    this.#stage.on('speakers', (speakers) => this.#update({ speakers }));
    this.#hosts.avoid(options.usesServer ?? false);
    this.#heartbeat.on('tick', () => this.#stage.tick(performance.now()));
    this.#heartbeat.on('finding', ({ leg, finding }) => this.#hosts.believe(leg, finding));
    this.#hosts.on('hurry', (isHurried) => this.#heartbeat.hurry(isHurried));
    this.#hosts.on('hosting', (hosting) => this.#update({ hosting, standIn: standInOf(hosting, this.#stage.front?.host), ...(hosting && { host: hosting.term }) }));
    this.#hosts.on('front', () => {
      this.#silence = new Silence();
      this.#update({ standIn: standInOf(this.#state.hosting, this.#stage.front?.host) });
    });
    this.#hosts.on('health', () => this.#refreshStatus());
    this.#hosts.on('connected', ({ path, before }) => {
      this.#loudspeaker.play(path.leg, path === this.#stage.heard);
      if (before) this.#loudspeaker.stop(before);
      if (path === this.#stage.front) this.#wasConnected = true;
      this.#refreshStatus();
    });
    this.#hosts.on('ended', (tracks) => { if (this.#roster.end(tracks)) this.#spreadRoster(); });
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
    await this.#send(source, { track, muted });
  }

  async mute(source: Source, muted: boolean): Promise<void> {
    const own = this.#own.get(source);
    if (!own || own.muted === muted) return;
    this.#tellMuted(source, muted);
    const isCamera = source === 'camera';
    if (own.track) own.track.enabled = !muted;
    await this.#send(source, { track: isCamera && muted ? null : own.track, muted });
    if (isCamera && muted) own.track?.stop();
  }

  async unpublish(source: Source): Promise<void> {
    this.#own.get(source)?.track?.stop();
    this.#own.delete(source);
    this.#trackIds.delete(source);
    this.#update({});
    await Promise.all(this.#hosts.paths.map((path) => path.stopSource(source)));
  }

  /** Says which pictures are on the screen and how large. Sent to the host a little later, whole. */
  setWants(wants: readonly Want[]): void {
    this.#stage.setWants(wants);
  }

  /** A picture of a track was shown, of this stream. */
  frame(track: TrackId, picture: Picture, stream?: MediaStream): void {
    this.#stage.frame(track, picture, stream);
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

  /** Lets a participant's computer carry the call, or the server (nothing given). */
  passBaton(to?: HostId): void {
    this.#signaling.send({ type: 'pass_baton', ...(to !== undefined && { to }) });
  }

  setHostingPolicy(policy: HostingPolicy): void {
    this.#signaling.send({ type: 'set_hosting_policy', policy });
  }

  /** Never connects to another participant's computer from now on, or does again where the room is carried by one. */
  useServer(always: boolean): void {
    this.#update({ usesServer: always });
    this.#signaling.send({ type: 'use_server', always });
    this.#hosts.avoid(always);
  }

  resumeSound(): void {
    this.#loudspeaker.resume();
  }

  setSpeaker(deviceId: string): void {
    this.#loudspeaker.setSink(deviceId);
  }

  /** Codecs are chosen when a leg is made, so another choice makes other legs. */
  setCodec(codec: VideoCodec): void {
    if (codec === this.#options.codec) return;
    Object.assign(this.#options, { codec });
    for (const path of this.#hosts.paths) path.replace();
  }

  report(): Promise<Report> {
    return this.#reporter.report({
      state: this.#state, trackIds: this.#trackIds, costs: this.#ledger.costs,
      paths: this.#hosts.paths, front: this.#stage.front, next: this.#stage.next, heard: this.#stage.heard,
      longestGap: (track) => this.#stage.longestGap(track, performance.now()),
      level: (participant) => this.#speaking.level(participant),
    });
  }

  resetGaps(): void {
    this.#stage.resetGaps();
  }

  // ---- signaling ------------------------------------------------------------------------------------------------

  #handleService(message: ServiceMessage): void {
    switch (message.type) {
      case 'joined':
        return this.#join(message);
      case 'participant': {
        const { participant } = message;
        const isNew = this.#roster.put(participant);
        this.#spreadRoster();
        if (isNew && participant.id !== this.#state.me) this.emit('notice', { what: 'joined', name: participant.name });
        return;
      }
      case 'participant_left': {
        const gone = this.#roster.remove(message.participant);
        this.#spreadRoster();
        if (gone) this.emit('notice', { what: 'gone', name: gone.name });
        return;
      }
      case 'answer':
        void this.#handleAnswer(message.leg, message.sdp, message.tracks);
        return;
      case 'leg_closed': {
        const path = this.#hosts.of(message.leg);
        path?.step(path.leg, 'closed');
        return;
      }
      case 'hosting':
        this.#saysHosting = true;
        return this.#hosts.follow(message.hosting);
      case 'host_changed':
        if (this.#saysHosting) return;
        this.#hosts.follow(hostingOf(message.host));
        // Older services close the legs of the term before.
        return this.#hosts.to(message.host.host)?.replace();
      case 'muted_by_moderator': {
        const source = [...this.#trackIds].find(([, id]) => id === message.track)?.[0];
        if (source) void this.mute(source, true);
        this.emit('notice', { what: 'muted_by', name: this.#roster.name(message.by) });
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
      case 'ice_servers':
        // For the connections that are made next.
        this.#iceServers = message.ice_servers;
        return;
      case 'heir':
        this.#update({ refuge: message.invites.find((link) => link.startsWith('https://')) ?? null });
        return;
      case 'host_token':
      case 'pong':
      case 'unknown':
        return;
      default:
        message satisfies never;
    }
  }

  #join({ me, grants, host, participants, room, resumed, gathering, ice_servers: iceServers, signing_key: signingKey }: Joined): void {
    this.#iceServers = iceServers;
    this.#signingKey = signingKey ?? null;
    this.#saysHosting = false;
    const stays = resumed && this.#hosts.paths.length > 0;
    this.#roster.replace(participants, stays && (gathering ?? false));
    const self = participants.find((participant) => participant.id === me);
    this.#update({ me, grants, room, name: self?.name ?? this.#state.name, participants: this.#roster.people });
    this.#stage.setPeople(this.#roster.people);
    if (this.#state.usesServer) this.#signaling.send({ type: 'use_server', always: true });
    if (!stays) this.#trackIds.clear();
    for (const [source, own] of this.#own) this.#tellMuted(source, own.muted);
    this.#update({ host });
    this.#hosts.join(me, host, stays);
  }

  #handleRefusal(code: ErrorCode, message: string, leg: number | undefined, fatal: boolean): void {
    if (fatal && code !== 'internal' && code !== 'too_fast') {
      if (this.#wasConnected && (code === 'unauthorized' || code === 'not_found')) this.#signaling.forget();
      else this.#end({ why: 'refused', code, message });
    } else if (leg !== undefined) this.#hosts.of(leg)?.refused(code);
    else this.emit('notice', { what: 'refused', code, message });
  }

  async #handleAnswer(leg: LegId, sdp: string, tracks: readonly TrackInfo[]): Promise<void> {
    if (!(await this.#hosts.of(leg)?.answer(sdp, tracks))) return;
    for (const track of tracks) {
      const own = this.#own.get(track.source);
      if (own && own.muted !== track.muted) this.#tellMuted(track.source, own.muted);
    }
  }

  #tellMuted(source: Source, muted: boolean): void {
    const track = this.#trackIds.get(source);
    if (track !== undefined) this.#signaling.send({ type: 'mute', track, muted });
  }

  #spreadRoster(): void {
    this.#update({ participants: this.#roster.people });
    this.#stage.setPeople(this.#roster.people);
  }

  async #send(source: Source, own: Own): Promise<void> {
    this.#own.set(source, own);
    this.#update({});
    const { paths } = this.#hosts;
    const needOffers = await Promise.all(paths.map((path) => path.setTrack(source, own)));
    this.#tellMuted(source, own.muted);
    await Promise.all(paths.map((path, index) => (needOffers[index] ? path.negotiate() : undefined)));
  }

  // ---- time -----------------------------------------------------------------------------------------------------

  #tick(): void {
    this.#hosts.tick();
    this.#refreshStatus();
    const now = performance.now();
    const { front, heard } = this.#stage;
    if (front && this.#silence.look(front.leg.newestPacket, now)) void this.#suspect(front);
    if (front && this.#state.hosting?.standby) this.#ledger.watch(front.leg, now);
    for (const { participant, level, stamp, slot } of heard ? voices(heard.leg) : []) {
      if (level !== null) this.#speaking.hear(participant, level, now, stamp);
      else void this.#hearByStats(participant, slot.transceiver.receiver, stamp);
    }
    if (front?.leg.upload.isDue(now)) void this.#lookAtUpload(front.leg);
    const lines = heard?.leg.lines ?? [];
    if (lines !== this.#lines && lines.length + this.#lines.length > 0) this.#noteLines(lines);
    const speaking = this.#speaking.at(now);
    if (speaking.symmetricDifference(this.#state.speaking as Set<ParticipantId>).size > 0) this.#update({ speaking });
  }

  #noteLines(list: readonly LineScore[]): void {
    const before = this.#state.lines.get(this.#state.me);
    this.#lines = list;
    const lines = new Map(list.map((line) => [line.participant, line]));
    this.#update({ lines });
    const own = lines.get(this.#state.me);
    if (own && before?.cause !== own.cause) this.emit('notice', { what: 'slow_line', cause: own.cause });
  }

  async #lookAtUpload(leg: Leg): Promise<void> {
    const news = leg.upload.note(await isLimitedByLine(leg.sender('camera')));
    if (news !== null) leg.tell({ type: 'upload', is_slow: news });
  }

  async #hearByStats(participant: ParticipantId, receiver: RTCRtpReceiver, stamp: number): Promise<void> {
    for (const stats of (await receiver.getStats()).values()) {
      if (stats.type === 'inbound-rtp') this.#speaking.hear(participant, stats.audioLevel ?? 0, performance.now(), stamp);
    }
  }

  #refreshStatus(): void {
    const times = [this.#lostAt, this.#stage.front?.troubleSince ?? null].filter((time) => time !== null);
    const next = status(this.#wasConnected, times.length > 0 ? Math.min(...times) : null, performance.now());
    if (next !== this.#state.status) this.#update({ status: next });
  }

  readonly #visibility = (): void => {
    this.#stage.setHidden(document.hidden);
  };

  readonly #network = (): void => {
    this.#signaling.probe();
    for (const path of this.#hosts.paths) path.step(path.leg, 'network_changed');
  };

  /** All sound and pictures stopped at once: everybody is muted, or the line is gone and ICE does not know yet. */
  async #suspect(path: Path): Promise<void> {
    const { leg } = path;
    if (performance.timeOrigin + performance.now() - ((await lastHeard(leg.pc)) ?? 0) < SUSPICIOUS_MS) return;
    if (path !== this.#stage.front || !path.has(leg.id)) return;
    this.#signaling.probe();
    path.step(leg, 'network_changed');
  }

  #end(ending: Ending): void {
    if (this.#state.ending) return;
    clearInterval(this.#ticker);
    document.removeEventListener('visibilitychange', this.#visibility);
    globalThis.removeEventListener('online', this.#network);
    connectionOf(navigator)?.removeEventListener('change', this.#network);
    this.#stage.close();
    this.#hosts.close();
    this.#heartbeat.close();
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
