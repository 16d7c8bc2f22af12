// What the call measures, as JSON for programs: the answer of `window.baton.report()`. Owns: reading getStats(), rates between two readings.

import type { CallState } from './call.ts';
import type { Role } from './hosting.ts';
import type { Leg } from './leg.ts';
import type { MoveCost } from './moves.ts';
import type { Path } from './path.ts';
import type { HostKind, HostSeat, LineReport, LineScore, MovePhase, ParticipantId, Source, TrackId } from './protocol.gen.ts';

export interface Report {
  room: string;
  me: ParticipantId;
  epoch: number | null;
  host: { kind: HostKind; id: number; name: string } | null;
  /** The host that serves me: the one that carries the call, or the server for who stays there. */
  mine: number | null;
  /** A change of hosts under way. */
  moving: { epoch: number; to: number; phase: MovePhase } | null;
  /** Who would take over. */
  standby: { kind: HostKind; id: number; name: string } | null;
  /** One per host that there is a connection to. */
  legs: { id: number; host: number; role: Role; state: string; isShown: boolean; isHeard: boolean; publishes: boolean }[];
  /** What each change of hosts cost, the last ones. */
  moves: MoveCost[];
  /** Of the leg from which the call is shown, as all that follows. */
  connection: {
    state: string;
    path: { local: string | null; remote: string | null; protocol: string | null };
    srtpProfile: string | null;
    /** Milliseconds. */
    rtt: number | null;
    bytesSent: number;
    bytesReceived: number;
  };
  /** How this line does as the host sees it; null until it said so. */
  line: LineReport | null;
  /** Everybody whose line does badly. */
  lines: LineScore[];
  published: { source: Source; track: TrackId | null; codec: string | null; muted: boolean; layers: PublishedLayer[] }[];
  videos: ShownVideo[];
  audios: HeardAudio[];
}

export interface PublishedLayer {
  rid: string | null;
  width: number;
  height: number;
  fps: number;
  /** Bits per second since the reading before. */
  bitrate: number;
}

export interface ShownVideo {
  participant: ParticipantId;
  track: TrackId;
  source: Source;
  slot: string;
  rid: string | null;
  paused: string | null;
  codec: string | null;
  width: number;
  height: number;
  fps: number;
  framesDecoded: number;
  freezeCount: number;
  /** Seconds. */
  totalFreezesDuration: number;
  /** Milliseconds; null in a hidden tab. */
  longestGapMs: number | null;
  packetsLost: number;
  nackCount: number;
  pliCount: number;
  bitrate: number;
}

export interface HeardAudio {
  participant: ParticipantId | null;
  slot: string;
  level: number;
  packetsReceived: number;
  packetsLost: number;
  concealedSamples: number;
  totalSamples: number;
  /** Seconds that samples waited in the jitter buffer, and how many samples did. */
  jitterBufferDelay: number;
  jitterBufferEmitted: number;
}

/** One entry of an `RTCStatsReport`: its fields differ by browser. */
class Entry {
  constructor(private readonly values: Readonly<Record<string, unknown>>) {}

  number(name: string): number {
    const value = this.values[name];
    return typeof value === 'number' ? value : 0;
  }

  text(name: string): string | null {
    const value = this.values[name];
    return typeof value === 'string' ? value : null;
  }

  is(name: string): boolean {
    return this.values[name] === true;
  }
}

class Stats {
  readonly #entries: ReadonlyMap<string, Entry>;

  constructor(report: RTCStatsReport) {
    this.#entries = new Map([...report].map(([id, values]) => [id, new Entry(values as Record<string, unknown>)]));
  }

  of(type: string): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.text('type') === type);
  }

  byId(id: string | null): Entry | undefined {
    return id === null ? undefined : this.#entries.get(id);
  }

  codec(entry: Entry): string | null {
    return this.byId(entry.text('codecId'))?.text('mimeType')?.replace(/^\w+\//, '') ?? null;
  }
}

const FIRST_READING_MS = 500;
/** An older reading would say how it was, not how it is. */
const OLD_READING_MS = 10_000;

/** What a report is made of. */
export interface Sources {
  readonly state: CallState;
  readonly trackIds: ReadonlyMap<Source, TrackId>;
  readonly costs: readonly MoveCost[];
  readonly paths: readonly Path[];
  /** From where the call is shown, to where it changes over, from where it is heard. */
  readonly front: Path | null;
  readonly next: Path | null;
  readonly heard: Path | null;
  longestGap(track: TrackId): number | null;
  level(participant: ParticipantId): number;
}

export class Reporter {
  #bytes: { at: number; leg: number; counts: ReadonlyMap<number, number> } | null = null;

  async report(sources: Sources): Promise<Report> {
    const { state, trackIds, costs, paths, front, next, heard } = sources;
    const { host, hosting } = state;
    const seat = (one: HostSeat | undefined): Report['standby'] => (one ? { kind: one.kind, id: one.host, name: one.name } : null);
    const moving = hosting?.moving;
    const base = {
      room: state.room,
      me: state.me,
      epoch: host?.epoch ?? null,
      host: host && { kind: host.kind, id: host.host, name: host.name },
      mine: hosting?.mine ?? host?.host ?? null,
      moving: moving ? { epoch: moving.epoch, to: moving.to.host, phase: moving.phase } : null,
      standby: seat(hosting?.standby),
      legs: paths.map((path) => ({
        id: path.leg.id, host: path.host, role: path.role, state: path.leg.pc.connectionState, publishes: path.publishes,
        isShown: path === front || path === next, isHeard: path === heard,
      })),
      moves: [...costs],
      line: (heard ?? front)?.leg.line ?? null,
      lines: [...state.lines.values()],
    };
    // Once everything has changed over, the new leg tells how it is.
    const leg = (heard ?? front)?.leg ?? null;
    const nowhere = { local: null, remote: null, protocol: null };
    if (!leg) return { ...base, connection: { state: state.status, path: nowhere, srtpProfile: null, rtt: null, bytesSent: 0, bytesReceived: 0 }, published: [], videos: [], audios: [] };

    const isFresh = this.#bytes?.leg === leg.id && performance.now() - this.#bytes.at < OLD_READING_MS;
    if (!isFresh) {
      this.#read(new Stats(await leg.pc.getStats()), leg);
      await new Promise((done) => setTimeout(done, FIRST_READING_MS));
    }
    const stats = new Stats(await leg.pc.getStats());
    const rate = this.#read(stats, leg);
    return {
      ...base,
      connection: connection(stats, leg),
      published: [...state.own].map(([source, own]) => published(stats, leg, source, own.muted, trackIds.get(source) ?? null, rate)),
      videos: videos(stats, state, leg, sources.longestGap, rate),
      audios: audios(stats, leg, sources.level),
    };
  }

  /** Takes a reading; the result tells rates since the one before. */
  #read(stats: Stats, leg: Leg): (ssrc: number) => number {
    const counts = new Map([
      ...stats.of('outbound-rtp').map((entry): [number, number] => [entry.number('ssrc'), entry.number('bytesSent')]),
      ...stats.of('inbound-rtp').map((entry): [number, number] => [entry.number('ssrc'), entry.number('bytesReceived')]),
    ]);
    const before = this.#bytes?.leg === leg.id ? this.#bytes : null;
    const at = performance.now();
    this.#bytes = { at, leg: leg.id, counts };
    return (ssrc) => {
      const [now, then] = [counts.get(ssrc), before?.counts.get(ssrc)];
      if (!before || now === undefined || then === undefined || at <= before.at) return 0;
      return Math.max(0, Math.round(((now - then) * 8000) / (at - before.at)));
    };
  }
}

function connection(stats: Stats, leg: Leg): Report['connection'] {
  const [transport] = stats.of('transport');
  const pair = stats.byId(transport?.text('selectedCandidatePairId') ?? null)
    ?? stats.of('candidate-pair').find((entry) => entry.is('selected') || (entry.is('nominated') && entry.text('state') === 'succeeded'));
  const local = stats.byId(pair?.text('localCandidateId') ?? null);
  const remote = stats.byId(pair?.text('remoteCandidateId') ?? null);
  return {
    state: leg.pc.connectionState,
    path: {
      local: local?.text('candidateType') ?? null,
      remote: remote?.text('candidateType') ?? null,
      protocol: local?.text('protocol') ?? null,
    },
    srtpProfile: transport?.text('srtpCipher') ?? null,
    rtt: pair ? Math.round(pair.number('currentRoundTripTime') * 1000) : null,
    bytesSent: pair?.number('bytesSent') ?? 0,
    bytesReceived: pair?.number('bytesReceived') ?? 0,
  };
}

function published(
  stats: Stats, leg: Leg, source: Source, muted: boolean, track: TrackId | null, rate: (ssrc: number) => number,
): Report['published'][number] {
  const mid = leg.mid(source);
  const outbound = stats.of('outbound-rtp').filter((entry) => mid !== null && entry.text('mid') === mid);
  const [first] = outbound;
  const layers = outbound.map((entry) => ({
    rid: entry.text('rid'),
    width: entry.number('frameWidth'),
    height: entry.number('frameHeight'),
    fps: entry.number('framesPerSecond'),
    bitrate: rate(entry.number('ssrc')),
  }));
  return { source, track, codec: first ? stats.codec(first) : null, muted, layers: layers.toSorted((a, b) => a.width - b.width) };
}

function videos(
  stats: Stats, state: CallState, leg: Leg, longestGap: (track: TrackId) => number | null, rate: (ssrc: number) => number,
): ShownVideo[] {
  const inbound = stats.of('inbound-rtp');
  return [...state.videos].flatMap(([track, shown]) => {
    const owner = state.participants.find((participant) => participant.tracks.some((info) => info.id === track));
    const info = owner?.tracks.find((candidate) => candidate.id === track);
    const entry = inbound.find((candidate) => candidate.text('mid') === shown.slot);
    if (!owner || !info || !entry || shown.leg !== leg.id) return [];
    return [{
      participant: owner.id, track, source: info.source, slot: shown.slot, rid: shown.rid, paused: shown.paused, codec: stats.codec(entry),
      width: entry.number('frameWidth'),
      height: entry.number('frameHeight'),
      fps: entry.number('framesPerSecond'),
      framesDecoded: entry.number('framesDecoded'),
      freezeCount: entry.number('freezeCount'),
      totalFreezesDuration: entry.number('totalFreezesDuration'),
      longestGapMs: longestGap(track),
      packetsLost: entry.number('packetsLost'),
      nackCount: entry.number('nackCount'),
      pliCount: entry.number('pliCount'),
      bitrate: rate(entry.number('ssrc')),
    }];
  });
}

function audios(stats: Stats, leg: Leg, level: (participant: ParticipantId) => number): HeardAudio[] {
  return leg.audioSlots.flatMap(({ transceiver }) => {
    const entry = stats.of('inbound-rtp').find((candidate) => candidate.text('mid') === transceiver.mid);
    if (!entry || entry.number('packetsReceived') === 0) return [];
    const [newest] = transceiver.receiver.getContributingSources().toSorted((a, b) => b.timestamp - a.timestamp);
    return [{
      participant: newest?.source ?? null,
      slot: transceiver.mid ?? '',
      level: newest ? level(newest.source) : entry.number('audioLevel'),
      packetsReceived: entry.number('packetsReceived'),
      packetsLost: entry.number('packetsLost'),
      concealedSamples: entry.number('concealedSamples'),
      totalSamples: entry.number('totalSamplesReceived'),
      jitterBufferDelay: entry.number('jitterBufferDelay'),
      jitterBufferEmitted: entry.number('jitterBufferEmittedCount'),
    }];
  });
}
