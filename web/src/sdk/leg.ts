// One connection to one host. Owns: the peer connection, its m-lines and slots, its data channels, its offers.
// Does not own: who is in the room, which host it is, what the slots shall show (`Call` says so).

import { Emitter } from './emitter.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Condition } from './ladder.ts';
import {
  type Encoding, SCREEN_BITRATE, type VideoCodec, activeEncodings, cameraEncodings, layerInfos, preferAudio, preferCodecs, restable,
} from './layers.ts';
import { ParseError, parsePathMessage } from './parse.ts';
import {
  CONTROL_CHANNEL, type IceServer, type LayerWanted, type LegId, type LineReport, type LineScore, PULSE_CHANNEL, type PathFromHost, type PathToHost, type SlotShown,
  type Source, type TrackId, type TrackOffer, type TrackWanted,
} from './protocol.gen.ts';
import { Upload } from './upload.ts';

export const AUDIO_SLOTS = 3;
/** Video slots that are enough to tell whether anything comes. */
const LOOKED_AT = 3;

/** A place for one received track. */
export interface Slot {
  readonly transceiver: RTCRtpTransceiver;
  readonly stream: MediaStream;
}

/** What goes out on one m-line. */
interface Sending {
  readonly transceiver: RTCRtpTransceiver;
  readonly encodings: readonly Encoding[];
  /** Size of the last picture source, kept while the camera is off. */
  size: { width: number; height: number };
  isSent: boolean;
  /** What the host said of its encodings; nothing before it did. */
  wanted: readonly LayerWanted[];
  /** Encodings change one after another: `setParameters` takes only what was read last. */
  change: Promise<void>;
}

export interface OfferOut {
  readonly sdp: string;
  readonly tracks: TrackOffer[];
}

export interface LegOptions {
  readonly iceServers: readonly IceServer[];
  readonly codec: VideoCodec;
  readonly videoSlots: number;
  /** Width of the camera, for its layers; a usual one where it is off. */
  readonly cameraWidth: number;
  /** Whoever hears the host's heart. */
  readonly heartbeat: Heartbeat;
  /** Shall anything go out at first? */
  readonly publishes: boolean;
}

type Negotiation = { readonly at: 'idle' } | { readonly at: 'making' } | { readonly at: 'waiting'; readonly offer: OfferOut };

type LegEvents = {
  offer: OfferOut;
  candidate: string;
  path: PathFromHost;
  ready: undefined;
  state: 'connected' | 'disconnected' | 'failed' | 'closed';
};

export class Leg extends Emitter<LegEvents> {
  readonly pc: RTCPeerConnection;
  readonly audioSlots: readonly Slot[];
  readonly #videoSlots: Slot[] = [];
  readonly #sending = new Map<Source, Sending>();
  readonly #muted = new Set<Source>();
  readonly #control: RTCDataChannel;
  readonly #codec: VideoCodec;
  readonly #heartbeat: Heartbeat;
  #publishes: boolean;
  #negotiation: Negotiation = { at: 'idle' };
  #again = false;
  #closed = false;
  #lastView = '';
  condition: Condition;
  /** What each slot was asked to show, and what the host says it shows. */
  assigned = new Map<string, TrackId>();
  shown: ReadonlyMap<string, SlotShown> = new Map();
  /** Which of its own encodings the host has use for. */
  wanted: readonly TrackWanted[] = [];
  /** What the host said last of this leg's line. */
  line: LineReport | null = null;
  /** Whose lines do badly, as the host said last. */
  lines: readonly LineScore[] = [];
  readonly upload = new Upload();

  constructor(readonly id: LegId, options: LegOptions) {
    super();
    this.condition = { at: 'connecting', since: performance.now() };
    this.#codec = options.codec;
    this.#heartbeat = options.heartbeat;
    this.#publishes = options.publishes;
    this.pc = new RTCPeerConnection({ iceServers: options.iceServers.map((server) => ({ ...server })), bundlePolicy: 'max-bundle' });
    // m-line 0 carries the transport for all: it may be inactive, stopping it would end the connection.
    this.#addSender('microphone', 'audio', []);
    this.#addSender('camera', 'video', cameraEncodings(options.cameraWidth, options.codec));
    this.audioSlots = Array.from({ length: AUDIO_SLOTS }, () => this.#addSlot('audio'));
    this.growSlots(options.videoSlots);
    this.#control = this.pc.createDataChannel('control', { negotiated: true, id: CONTROL_CHANNEL });
    const pulse = this.pc.createDataChannel('pulse', { negotiated: true, id: PULSE_CHANNEL, ordered: false, maxRetransmits: 0 });
    this.#heartbeat.watch(id, pulse);
    this.#control.addEventListener('open', () => this.emit('ready', undefined));
    this.#control.addEventListener('close', () => this.#report('closed'));
    this.#control.addEventListener('message', (event: MessageEvent<unknown>) => this.#read(event.data));
    this.pc.addEventListener('icecandidate', ({ candidate }) => this.emit('candidate', candidate?.candidate ?? ''));
    this.pc.addEventListener('connectionstatechange', () => {
      const state = this.pc.connectionState;
      if (state === 'connected' || state === 'disconnected' || state === 'failed') this.#report(state);
    });
  }

  get videoSlots(): readonly Slot[] {
    return this.#videoSlots;
  }

  /** Mids of the video slots that the host knows of. */
  get videoMids(): string[] {
    return this.#videoSlots.flatMap(({ transceiver }) => (transceiver.currentDirection === 'recvonly' && transceiver.mid !== null ? [transceiver.mid] : []));
  }

  /** Time of the newest packet of the audio slots and of the first pictures, by a clock of the browser. Each look costs a call into it. */
  get newestPacket(): number {
    const slots = [...this.audioSlots, ...this.#videoSlots.slice(0, LOOKED_AT)];
    return Math.max(-1, ...slots.flatMap(({ transceiver }) => transceiver.receiver.getSynchronizationSources().map(({ timestamp }) => timestamp)));
  }

  get isOpen(): boolean {
    return !this.#closed && this.#control.readyState === 'open';
  }

  /** Asks for more video slots; true where that needs an offer. */
  growSlots(count: number): boolean {
    const before = this.#videoSlots.length;
    while (this.#videoSlots.length < count) this.#videoSlots.push(this.#addSlot('video'));
    return this.#videoSlots.length > before;
  }

  /** Sends a track of a source, or nothing (null). True where that needs an offer. */
  async setTrack(source: Source, track: MediaStreamTrack | null, muted: boolean): Promise<boolean> {
    if (this.#closed) return false;
    const video = source === 'camera' || source === 'screen';
    const sending = this.#sending.get(source) ?? (track && this.#addSender(source, video ? 'video' : 'audio', []));
    if (!sending) return false;
    if (muted) this.#muted.add(source);
    else this.#muted.delete(source);
    if (track && video) {
      const { width = 1280, height = 720 } = track.getSettings();
      sending.size = { width, height };
    }
    const { transceiver } = sending;
    sending.isSent = track !== null;
    if (!track && transceiver.sender.track) await this.#activate(sending);
    await transceiver.sender.replaceTrack(track);
    if (track) await this.#activate(sending);
    if (track === null || transceiver.direction === 'sendonly') return false;
    transceiver.direction = 'sendonly';
    return true;
  }

  /** Takes a source out of the offer. */
  async stopSource(source: Source): Promise<void> {
    const sending = this.#sending.get(source);
    if (!sending || this.#closed) return;
    await sending.transceiver.sender.replaceTrack(null);
    sending.transceiver.direction = 'inactive';
  }

  /** Stops encoding what nobody watches, and goes on with what somebody does. */
  async setWanted(source: Source, layers: readonly LayerWanted[]): Promise<void> {
    const sending = this.#sending.get(source);
    if (!sending || this.#closed) return;
    sending.wanted = layers;
    await this.#activate(sending);
  }

  get publishes(): boolean {
    return this.#publishes;
  }

  /** Sends everything, or nothing at all although all of it is agreed: a leg that waits for its time. */
  async setPublishing(publishes: boolean): Promise<void> {
    if (this.#closed || this.#publishes === publishes) return;
    this.#publishes = publishes;
    // What the host had use for while nothing came says nothing about what it will.
    if (publishes) for (const sending of this.#sending.values()) sending.wanted = [];
    await Promise.all([...this.#sending.values()].map((sending) => this.#activate(sending)));
  }

  mid(source: Source): string | null {
    return this.#sending.get(source)?.transceiver.mid ?? null;
  }

  sender(source: Source): RTCRtpSender | null {
    return this.#sending.get(source)?.transceiver.sender ?? null;
  }

  /** Makes an offer, now or after the one under way is answered. */
  async negotiate(): Promise<void> {
    if (this.#closed) return;
    if (this.#negotiation.at !== 'idle') {
      this.#again = true;
      return;
    }
    this.#negotiation = { at: 'making' };
    this.#again = false;
    await this.pc.setLocalDescription();
    const offer: OfferOut = { sdp: this.pc.localDescription?.sdp ?? '', tracks: this.#tracks() };
    this.#negotiation = { at: 'waiting', offer };
    this.emit('offer', offer);
  }

  async restartIce(): Promise<void> {
    this.pc.restartIce();
    await this.negotiate();
  }

  /** The offer that has no answer yet. */
  get unanswered(): OfferOut | null {
    return this.#negotiation.at === 'waiting' ? this.#negotiation.offer : null;
  }

  async accept(sdp: string): Promise<void> {
    if (this.#negotiation.at !== 'waiting' || this.#closed) return;
    await this.pc.setRemoteDescription({ type: 'answer', sdp });
    this.#negotiation = { at: 'idle' };
    if (!this.#publishes) for (const sending of this.#sending.values()) void this.#activate(sending);
    if (this.#again) await this.negotiate();
  }

  /** Tells the host something; a view that says nothing new is not sent. */
  tell(message: PathToHost): void {
    const text = JSON.stringify(message);
    if (!this.isOpen || text === this.#lastView) return;
    this.#lastView = text;
    this.#control.send(text);
  }

  close(): void {
    this.#closed = true;
    this.condition = { at: 'dead' };
    this.#heartbeat.forget(this.id);
    this.pc.close();
  }

  #addSender(source: Source, kind: 'audio' | 'video', encodings: readonly Encoding[]): Sending {
    const single = source === 'screen' ? [{ maxBitrate: SCREEN_BITRATE }] : [];
    const sendEncodings: RTCRtpEncodingParameters[] = encodings.length > 0 ? encodings.map((encoding) => ({ ...encoding })) : single;
    const transceiver = this.pc.addTransceiver(kind, { direction: 'inactive', ...(sendEncodings.length > 0 && { sendEncodings }) });
    this.#preferCodecs(transceiver, kind);
    const sending: Sending = {
      transceiver, encodings, size: { width: 1280, height: 720 }, isSent: false, wanted: [], change: Promise.resolve(),
    };
    this.#sending.set(source, sending);
    return sending;
  }

  #addSlot(kind: 'audio' | 'video'): Slot {
    const transceiver = this.pc.addTransceiver(kind, { direction: 'recvonly' });
    this.#preferCodecs(transceiver, kind);
    return { transceiver, stream: new MediaStream([transceiver.receiver.track]) };
  }

  #preferCodecs(transceiver: RTCRtpTransceiver, kind: 'audio' | 'video'): void {
    const known = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
    const codecs = kind === 'audio' ? preferAudio(known) : preferCodecs(known, this.#codec);
    if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
  }

  /** Begins and ends encodings. One that begins does so with a keyframe, which a replaced track alone does not. */
  #activate(sending: Sending): Promise<void> {
    sending.change = sending.change.then(async () => {
      const { sender } = sending.transceiver;
      const parameters = sender.getParameters();
      const next = activeEncodings(parameters.encodings ?? [], sending.isSent && this.#publishes, restable(sending.wanted));
      if (!next || this.#closed) return;
      parameters.encodings = next;
      await sender.setParameters(parameters).catch(() => {
        // Refused while the m-line is not negotiated; it then starts as it should anyway.
      });
    });
    return sending.change;
  }

  #tracks(): TrackOffer[] {
    return [...this.#sending].flatMap(([source, { transceiver, encodings, size }]) => {
      if (transceiver.direction !== 'sendonly' || transceiver.mid === null) return [];
      const video = source === 'camera' || source === 'screen';
      const single = [{ ...size, max_bitrate: SCREEN_BITRATE }];
      const layers = !video ? [] : encodings.length > 0 ? layerInfos(encodings, size.width, size.height) : single;
      return [{ mid: transceiver.mid, source, layers, muted: this.#muted.has(source) }];
    });
  }

  #read(data: unknown): void {
    if (typeof data !== 'string' || this.#closed) return;
    try {
      this.emit('path', parsePathMessage(data));
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      console.warn(`leg ${this.id}:`, error.message);
    }
  }

  #report(state: LegEvents['state']): void {
    if (!this.#closed) this.emit('state', state);
  }
}
