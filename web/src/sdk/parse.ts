// Reads what came over the wire. Owns: the check that JSON is what protocol.gen.ts says. Does not own: what it means.
// Unknown types and fields are ignored, so that an older page lives with a newer service; a known field of a wrong type is an error.

import type {
  CandidateInfo, Direction, ErrorCode, Grants, HostKind, HostSeat, HostTerm, Hosting, HostingPolicy, IceServer, Joined, LayerInfo, LayerWanted,
  LeaveReason, LineReport, LineScore, MovePhase, Moving, ParticipantInfo, PathFromHost, PauseReason, Score, ServiceMessage, SlotShown, Source,
  TrackInfo, TrackWanted,
} from './protocol.gen.ts';

/** Says which field was wrong. */
export class ParseError extends Error {
  override readonly name = 'ParseError';
}

const MAX_LIST = 20_000;

class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ParseError(`${where} is not an object`);
    this.#values = value as Record<string, unknown>;
    this.#where = where;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name) && this.#values[name] !== null && this.#values[name] !== undefined;
  }

  value(name: string): unknown {
    return this.#values[name];
  }

  text(name: string): string {
    const value = this.#values[name];
    if (typeof value !== 'string') throw this.#wrong(name, 'text');
    return value;
  }

  flag(name: string, absent?: boolean): boolean {
    if (absent !== undefined && !this.has(name)) return absent;
    const value = this.#values[name];
    if (typeof value !== 'boolean') throw this.#wrong(name, 'true or false');
    return value;
  }

  /** A whole number, not negative. */
  count(name: string, absent?: number): number {
    if (absent !== undefined && !this.has(name)) return absent;
    const value = this.#values[name];
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw this.#wrong(name, 'a whole number');
    return value;
  }

  /** One of the words. A word that only a newer service knows becomes `other`. */
  word<W extends string>(name: string, words: readonly W[], other: W): W {
    const value = this.text(name);
    return words.find((word) => word === value) ?? other;
  }

  fields(name: string): Fields {
    return new Fields(this.#values[name], `${this.#where}.${name}`);
  }

  /** A list. What `read` gives as undefined is left out. */
  list<T>(name: string, read: (item: unknown, where: string) => T | undefined, absent?: T[]): T[] {
    if (absent !== undefined && !this.has(name)) return absent;
    const value = this.#values[name];
    if (!Array.isArray(value) || value.length > MAX_LIST) throw this.#wrong(name, 'a list');
    return value.flatMap((item, index) => {
      const kept = read(item, `${this.#where}.${name}[${index}]`);
      return kept === undefined ? [] : [kept];
    });
  }

  #wrong(name: string, wanted: string): ParseError {
    return new ParseError(`${this.#where}.${name} is not ${wanted}`);
  }
}

const SOURCES: readonly Source[] = ['microphone', 'camera', 'screen', 'screen_audio'];
const REASONS: readonly LeaveReason[] = ['left', 'timed_out', 'kicked', 'replaced', 'room_closed', 'shutdown'];
const PAUSES: readonly PauseReason[] = ['muted', 'gone', 'waiting', 'bandwidth', 'codec'];
const SCORES: readonly Score[] = ['good', 'fair', 'poor'];
const DIRECTIONS: readonly Direction[] = ['upload', 'download'];
const HOSTS: readonly HostKind[] = ['central', 'participant'];
const PHASES: readonly MovePhase[] = ['prepare', 'switch'];
const POLICIES: readonly HostingPolicy[] = ['central', 'auto', 'prefer_participant'];
const CODES: readonly ErrorCode[] = [
  'malformed', 'version', 'unauthorized', 'forbidden', 'invalid', 'not_found', 'limit', 'too_fast', 'stale_epoch', 'no_host',
  'offer_rejected', 'not_joined', 'internal',
];

const source = (value: unknown): Source | undefined => SOURCES.find((known) => known === value);

function text(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new ParseError(`${where} is not text`);
  return value;
}

function count(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new ParseError(`${where} is not a whole number`);
  return value;
}

function layer(value: unknown, where: string): LayerInfo {
  const fields = new Fields(value, where);
  return {
    ...(fields.has('rid') && { rid: fields.text('rid') }),
    width: fields.count('width'),
    height: fields.count('height'),
    max_bitrate: fields.count('max_bitrate', 0),
  };
}

/** A track of a source this page does not know is left out. */
function track(value: unknown, where: string): TrackInfo | undefined {
  const fields = new Fields(value, where);
  const from = source(fields.text('source'));
  if (from === undefined) return undefined;
  return {
    id: fields.count('id'),
    mid: fields.text('mid'),
    source: from,
    layers: fields.list('layers', layer, []),
    muted: fields.flag('muted', false),
  };
}

function participant(value: unknown, where: string): ParticipantInfo {
  const fields = new Fields(value, where);
  return { id: fields.count('id'), name: fields.text('name'), tracks: fields.list('tracks', track), connected: fields.flag('connected') };
}

function host(fields: Fields): HostTerm {
  return {
    epoch: fields.count('epoch'),
    host: fields.count('host'),
    kind: fields.word('kind', HOSTS, 'central'),
    name: fields.text('name'),
  };
}

function hostSeat(fields: Fields): HostSeat {
  return {
    host: fields.count('host'),
    kind: fields.word('kind', HOSTS, 'central'),
    name: fields.text('name'),
    ...(fields.has('owner') && { owner: fields.count('owner') }),
  };
}

function moving(fields: Fields): Moving {
  return {
    epoch: fields.count('epoch'),
    to: hostSeat(fields.fields('to')),
    phase: fields.word('phase', PHASES, 'prepare'),
    ...(fields.has('grant') && { grant: fields.text('grant') }),
  };
}

function candidate(value: unknown, where: string): CandidateInfo {
  const fields = new Fields(value, where);
  return { seat: hostSeat(fields.fields('seat')), fit: fields.flag('fit'), why_not: fields.list('why_not', text) };
}

function hosting(fields: Fields): Hosting {
  return {
    term: host(fields.fields('term')),
    ...(fields.has('owner') && { owner: fields.count('owner') }),
    ...(fields.has('grant') && { grant: fields.text('grant') }),
    mine: fields.count('mine'),
    ...(fields.has('standby') && { standby: hostSeat(fields.fields('standby')) }),
    ...(fields.has('moving') && { moving: moving(fields.fields('moving')) }),
    policy: fields.word('policy', POLICIES, 'central'),
    candidates: fields.list('candidates', candidate),
  };
}

function grants(fields: Fields): Grants {
  return {
    publish: fields.list('publish', source),
    subscribe: fields.flag('subscribe', false),
    chat: fields.flag('chat', false),
    moderate: fields.flag('moderate', false),
    host: fields.flag('host', false),
    hidden: fields.flag('hidden', false),
  };
}

function iceServer(value: unknown, where: string): IceServer {
  const fields = new Fields(value, where);
  return {
    urls: fields.list('urls', text),
    ...(fields.has('username') && { username: fields.text('username') }),
    ...(fields.has('credential') && { credential: fields.text('credential') }),
  };
}

function joined(fields: Fields): Joined {
  return {
    protocol: fields.count('protocol'),
    room: fields.text('room'),
    me: fields.count('me'),
    resumed: fields.flag('resumed'),
    resume: fields.text('resume'),
    grants: grants(fields.fields('grants')),
    host: host(fields.fields('host')),
    participants: fields.list('participants', participant),
    ice_servers: fields.list('ice_servers', iceServer, []),
    ...(fields.has('gathering') && { gathering: fields.flag('gathering') }),
    ...(fields.has('signing_key') && { signing_key: fields.text('signing_key') }),
  };
}

function json(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch {
    throw new ParseError('message is not JSON');
  }
}

/** Reads one message of signaling. Throws {@link ParseError}. */
export function parseServiceMessage(message: string): ServiceMessage {
  const fields = new Fields(json(message), 'message');
  const type = fields.text('type') as ServiceMessage['type'];
  switch (type) {
    case 'joined':
      return { type, ...joined(fields) };
    case 'participant':
      return { type, participant: participant(fields.value('participant'), 'message.participant') };
    case 'participant_left':
      return { type, participant: fields.count('participant'), reason: fields.word('reason', REASONS, 'left') };
    case 'answer':
      return { type, leg: fields.count('leg'), epoch: fields.count('epoch'), sdp: fields.text('sdp'), tracks: fields.list('tracks', track) };
    case 'leg_closed':
      return { type, leg: fields.count('leg'), message: fields.text('message') };
    case 'host_changed':
      return { type, host: host(fields.fields('host')) };
    case 'hosting':
      return { type, hosting: hosting(fields.fields('hosting')) };
    case 'heir':
      return { type, invites: fields.list('invites', text), resume: fields.text('resume') };
    case 'ice_servers':
      return { type, ice_servers: fields.list('ice_servers', iceServer, []) };
    case 'host_token':
      return { type, token: fields.text('token') };
    case 'muted_by_moderator':
      return { type, track: fields.count('track'), by: fields.count('by') };
    case 'chat':
      return {
        type,
        from: fields.count('from'),
        name: fields.text('name'),
        text: fields.text('text'),
        ...(fields.has('to') && { to: fields.count('to') }),
        at_ms: fields.count('at_ms'),
      };
    case 'removed':
      return { type, reason: fields.word('reason', REASONS, 'left') };
    case 'error':
      return {
        type,
        code: fields.word('code', CODES, 'internal'),
        message: fields.text('message'),
        ...(fields.has('leg') && { leg: fields.count('leg') }),
        fatal: fields.flag('fatal'),
      };
    case 'pong':
      return { type, nonce: fields.count('nonce') };
    case 'unknown':
      return { type };
    default:
      (type) satisfies never;
      return { type: 'unknown' };
  }
}

function slotShown(value: unknown, where: string): SlotShown {
  const fields = new Fields(value, where);
  return {
    slot: fields.text('slot'),
    track: fields.count('track'),
    participant: fields.count('participant'),
    ...(fields.has('rid') && { rid: fields.text('rid') }),
    ...(fields.has('paused') && { paused: fields.word('paused', PAUSES, 'waiting') }),
  };
}

function layerWanted(value: unknown, where: string): LayerWanted {
  const fields = new Fields(value, where);
  return { ...(fields.has('rid') && { rid: fields.text('rid') }), wanted: fields.flag('wanted') };
}

function trackWanted(value: unknown, where: string): TrackWanted {
  const fields = new Fields(value, where);
  return { track: fields.count('track'), layers: fields.list('layers', layerWanted) };
}

function lineReport(fields: Fields): LineReport {
  return {
    ...(fields.has('estimate') && { estimate: fields.count('estimate') }),
    given: fields.count('given'),
    wanted: fields.count('wanted'),
    queue: fields.count('queue'),
    loss: fields.count('loss'),
    loss_up: fields.count('loss_up'),
    ...(fields.has('rtt') && { rtt: fields.count('rtt') }),
  };
}

function lineScore(value: unknown, where: string): LineScore {
  const fields = new Fields(value, where);
  return {
    participant: fields.count('participant'),
    score: fields.word('score', SCORES, 'fair'),
    cause: fields.word('cause', DIRECTIONS, 'download'),
  };
}

/** Reads one message of a leg's data channel. Throws {@link ParseError}. */
export function parsePathMessage(message: string): PathFromHost {
  const fields = new Fields(json(message), 'message');
  const type = fields.text('type') as PathFromHost['type'];
  switch (type) {
    case 'slots':
      return { type, slots: fields.list('slots', slotShown) };
    case 'speakers':
      return { type, speakers: fields.list('speakers', count) };
    case 'wanted':
      return { type, tracks: fields.list('tracks', trackWanted) };
    case 'line':
      return { type, line: lineReport(fields.fields('line')) };
    case 'lines':
      return { type, lines: fields.list('lines', lineScore) };
    case 'pulse':
      return { type, count: fields.count('count'), ...(fields.has('deaf_ms') && { deaf_ms: fields.count('deaf_ms') }) };
    case 'unknown':
      return { type };
    default:
      (type) satisfies never;
      return { type: 'unknown' };
  }
}
