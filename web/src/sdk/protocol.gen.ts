// Made from signaling/protocol by `make bindings`. Do not edit.

export const PROTOCOL_VERSION = 1;
export const CONTROL_CHANNEL = 0;
export const PULSE_CHANNEL = 1;

export type RoomId = string;

export type ParticipantId = number;

export type TrackId = number;

export type LegId = number;

export type HostId = number;

export type Epoch = number;

export type HostKind = "central" | "participant";

export type HostTerm = { 
/**
 * Number of the term.
 */
epoch: Epoch, 
/**
 * The process that forwards.
 */
host: HostId, 
/**
 * Whose computer it is.
 */
kind: HostKind, 
/**
 * What people call it.
 */
name: string, };

export type HostSeat = { 
/**
 * Which.
 */
host: HostId, 
/**
 * Whose computer.
 */
kind: HostKind, 
/**
 * What people call it.
 */
name: string, 
/**
 * The participant whose computer it is; absent for the operator's.
 */
owner?: ParticipantId, };

export type MovePhase = "prepare" | "switch";

export type MoveStep = "ready" | "switched" | "failed";

export type Moving = { 
/**
 * The epoch of the term that begins if it succeeds; offers to `to` name it.
 */
epoch: Epoch, 
/**
 * Where to.
 */
to: HostSeat, 
/**
 * How far it is.
 */
phase: MovePhase, 
/**
 * The next term's [`GrantClaims`], signed.
 */
grant?: string, };

export type HostingPolicy = "central" | "auto" | "prefer_participant";

export type CandidateInfo = { 
/**
 * Which computer.
 */
seat: HostSeat, 
/**
 * Could it carry the call now?
 */
fit: boolean, 
/**
 * Why not, in words for people.
 */
why_not: Array<string>, };

export type Hosting = { 
/**
 * The term that counts. Nothing of an older epoch is believed.
 */
term: HostTerm, 
/**
 * The participant whose computer the term's host is; absent for the operator's.
 */
owner?: ParticipantId, 
/**
 * The term's [`GrantClaims`], signed. The answer of the host must show the fingerprint that it names.
 */
grant?: string, 
/**
 * The host to which the receiver's own media goes: the term's, or the server for who stays there.
 */
mine: HostId, 
/**
 * Who takes over at once when the host dies: everybody keeps a silent leg there. Absent while there is no use for one.
 */
standby?: HostSeat, 
/**
 * A move under way. When it is gone again the term says whether it succeeded.
 */
moving?: Moving, 
/**
 * What may carry this room.
 */
policy: HostingPolicy, 
/**
 * Computers that were offered, those that cannot carry the call included.
 */
candidates: Array<CandidateInfo>, };

export type Grants = { 
/**
 * Sources that may be published.
 */
publish: Array<Source>, 
/**
 * May receive what others publish.
 */
subscribe: boolean, 
/**
 * May write chat messages.
 */
chat: boolean, 
/**
 * May mute and remove others.
 */
moderate: boolean, 
/**
 * May be asked to carry the call on the own computer.
 */
host: boolean, 
/**
 * Is not shown to others (recorders, monitors). A hidden participant cannot publish.
 */
hidden: boolean, };

export type MediaKind = "audio" | "video";

export type Source = "microphone" | "camera" | "screen" | "screen_audio";

export type LayerInfo = { 
/**
 * RTP stream id (RFC 8852), at most 16 letters and digits. Absent where the track has a single encoding.
 */
rid?: string, 
/**
 * Width in pixels.
 */
width: number, 
/**
 * Height in pixels.
 */
height: number, 
/**
 * Highest rate in bits per second; 0 where the publisher does not say.
 */
max_bitrate: number, };

export type TrackOffer = { 
/**
 * `a=mid` of the m-line.
 */
mid: string, 
/**
 * Where it comes from.
 */
source: Source, 
/**
 * Encodings of a video track, smallest first. Empty for audio.
 */
layers: Array<LayerInfo>, 
/**
 * Muted from the start?
 */
muted: boolean, };

export type TrackInfo = { 
/**
 * Its number in the room.
 */
id: TrackId, 
/**
 * `a=mid` of the publisher's m-line.
 */
mid: string, 
/**
 * Where it comes from.
 */
source: Source, 
/**
 * Encodings of a video track, smallest first. Empty for audio.
 */
layers: Array<LayerInfo>, 
/**
 * Nothing is sent while true.
 */
muted: boolean, };

export type ParticipantInfo = { 
/**
 * Number in the room.
 */
id: ParticipantId, 
/**
 * Name to show.
 */
name: string, 
/**
 * Everything published now.
 */
tracks: Array<TrackInfo>, 
/**
 * False while the signaling socket is lost and may still be resumed.
 */
connected: boolean, };

export type IceServer = { 
/**
 * `stun:` or `turn:` addresses.
 */
urls: Array<string>, 
/**
 * For TURN.
 */
username?: string, 
/**
 * For TURN.
 */
credential?: string, };

export type Resume = { 
/**
 * From [`Joined::resume`]. Valid for 30 s after the socket was lost, also across a restart of signaling.
 */
token: string, 
/**
 * The newest term that one believed in. A restarted service that knows of none so new begins a newer one, or nobody who believes
 * in it would hear of anything any more.
 */
epoch?: Epoch, };

export type Join = { 
/**
 * Highest protocol version the participant speaks.
 */
protocol: number, 
/**
 * Which room.
 */
room: RoomId, 
/**
 * Name to show, 1 to 128 bytes. A name in the token wins.
 */
name: string, 
/**
 * JWT. May be absent only where the service is open (loopback without a secret).
 */
token?: string, 
/**
 * Come back as who one was.
 */
resume?: Resume, };

export type PeerMessage = { "type": "join" } & Join | { "type": "offer", 
/**
 * Which leg; a number not seen before opens a new one.
 */
leg: LegId, 
/**
 * The term whose host shall answer.
 */
epoch: Epoch, 
/**
 * Which host: the term's if absent. The standby and the host that a move goes to are named.
 */
host?: HostId, 
/**
 * SHA-256 of the leg's own DTLS certificate, as in `a=fingerprint`. Needed for a participant's computer, whose ticket
 * is bound to it.
 */
fingerprint?: string, 
/**
 * Session description, opaque to signaling.
 */
sdp: string, 
/**
 * All tracks of this leg. A track that was offered before and is missing is unpublished.
 */
tracks: Array<TrackOffer>, } | { "type": "candidate", 
/**
 * Which leg.
 */
leg: LegId, 
/**
 * Value of `candidate` in the browser's `RTCIceCandidate`.
 */
candidate: string, } | { "type": "close_leg", 
/**
 * Which leg.
 */
leg: LegId, } | { "type": "mute", 
/**
 * Which track.
 */
track: TrackId, 
/**
 * Nothing is sent while true.
 */
muted: boolean, } | { "type": "rename", 
/**
 * 1 to 128 bytes.
 */
name: string, } | { "type": "chat", 
/**
 * 1 to 4,096 bytes.
 */
text: string, 
/**
 * Only this participant gets it.
 */
to?: ParticipantId, } | { "type": "kick", 
/**
 * Who goes.
 */
participant: ParticipantId, } | { "type": "mute_other", 
/**
 * Which track.
 */
track: TrackId, } | { "type": "move_progress", 
/**
 * The epoch that the move leads to.
 */
epoch: Epoch, 
/**
 * How far.
 */
step: MoveStep, } | { "type": "host_lost", 
/**
 * The term whose host it is.
 */
epoch: Epoch, 
/**
 * For how long nothing was heard, in milliseconds.
 */
silent_ms: number, } | { "type": "pass_baton", 
/**
 * One of [`Hosting::candidates`].
 */
to?: HostId, } | { "type": "set_hosting_policy", 
/**
 * From now on.
 */
policy: HostingPolicy, } | { "type": "use_server", 
/**
 * From now on.
 */
always: boolean, } | { "type": "offer_hosting", 
/**
 * What people shall call the computer, 1 to 128 bytes.
 */
name: string, } | { "type": "leave" } | { "type": "ping", 
/**
 * Comes back unchanged.
 */
nonce: number, } | { "type": "unknown" };

export type Joined = { 
/**
 * Version spoken from here on.
 */
protocol: number, 
/**
 * Which room.
 */
room: RoomId, 
/**
 * Who one is.
 */
me: ParticipantId, 
/**
 * Did this continue an earlier connection? Then legs and tracks are still there.
 */
resumed: boolean, 
/**
 * Give this back in [`Resume::token`]. A newer one replaces it.
 */
resume: string, 
/**
 * What one may do.
 */
grants: Grants, 
/**
 * Who forwards.
 */
host: HostTerm, 
/**
 * Everybody who is visible, oneself included.
 */
participants: Array<ParticipantInfo>, 
/**
 * The service was restarted a moment ago: who is missing here, or has no tracks here, may not have been heard of again yet.
 */
gathering?: boolean, 
/**
 * STUN and TURN servers to use.
 */
ice_servers: Array<IceServer>, 
/**
 * The Ed25519 key that signs grants: 32 bytes, base64url without padding.
 */
signing_key?: string, };

export type LeaveReason = "left" | "timed_out" | "kicked" | "replaced" | "room_closed" | "shutdown";

export type ErrorCode = "malformed" | "version" | "unauthorized" | "forbidden" | "invalid" | "not_found" | "limit" | "too_fast" | "stale_epoch" | "no_host" | "offer_rejected" | "not_joined" | "internal";

export type ServiceMessage = { "type": "joined" } & Joined | { "type": "participant", 
/**
 * The whole of it.
 */
participant: ParticipantInfo, } | { "type": "participant_left", 
/**
 * Who.
 */
participant: ParticipantId, 
/**
 * Why.
 */
reason: LeaveReason, } | { "type": "answer", 
/**
 * Which leg.
 */
leg: LegId, 
/**
 * The term whose host answered.
 */
epoch: Epoch, 
/**
 * Session description.
 */
sdp: string, 
/**
 * The leg's tracks with their numbers.
 */
tracks: Array<TrackInfo>, } | { "type": "leg_closed", 
/**
 * Which leg.
 */
leg: LegId, 
/**
 * For people.
 */
message: string, } | { "type": "host_changed", 
/**
 * The new term.
 */
host: HostTerm, } | { "type": "hosting", 
/**
 * All of it.
 */
hosting: Hosting, } | { "type": "heir", 
/**
 * Invite links; what follows `#sha256=` is the only certificate to be believed there.
 */
invites: Array<string>, 
/**
 * [`Resume::token`] for the heir.
 */
resume: string, } | { "type": "ice_servers", 
/**
 * All of them.
 */
ice_servers: Array<IceServer>, } | { "type": "host_token", 
/**
 * A bearer token.
 */
token: string, } | { "type": "muted_by_moderator", 
/**
 * Which track.
 */
track: TrackId, 
/**
 * Who did it.
 */
by: ParticipantId, } | { "type": "chat", 
/**
 * Who.
 */
from: ParticipantId, 
/**
 * Name at that time.
 */
name: string, 
/**
 * What.
 */
text: string, 
/**
 * Set where only the receiver got it.
 */
to?: ParticipantId, 
/**
 * Milliseconds since 1970.
 */
at_ms: number, } | { "type": "removed", 
/**
 * Why.
 */
reason: LeaveReason, } | { "type": "error", 
/**
 * For programs.
 */
code: ErrorCode, 
/**
 * For people: what was wrong, and what to do.
 */
message: string, 
/**
 * The leg in question, if there is one.
 */
leg?: LegId, 
/**
 * The socket is closed next?
 */
fatal: boolean, } | { "type": "pong", 
/**
 * As sent.
 */
nonce: number, } | { "type": "unknown" };

export type SlotView = { 
/**
 * `a=mid` of the slot.
 */
slot: string, 
/**
 * Which track.
 */
track: TrackId, 
/**
 * Width on the screen, in device pixels.
 */
width: number, 
/**
 * Height on the screen, in device pixels.
 */
height: number, 
/**
 * Highest useful frame rate; 0 means no limit.
 */
fps: number, 
/**
 * 0 is least important. Screens and the active speaker go first whatever this says; from 10 on a picture is raised to its best before
 * the others get more than their lowest layer.
 */
priority: number, };

export type PathToHost = { "type": "view", 
/**
 * At most one entry per slot.
 */
slots: Array<SlotView>, } | { "type": "upload", 
/**
 * It does: the line is too slow for it.
 */
is_slow: boolean, } | { "type": "unknown" };

export type PauseReason = "muted" | "gone" | "waiting" | "bandwidth" | "codec";

export type SlotShown = { 
/**
 * `a=mid` of the slot.
 */
slot: string, 
/**
 * Which track.
 */
track: TrackId, 
/**
 * Whose.
 */
participant: ParticipantId, 
/**
 * Which encoding; absent for a track with a single one.
 */
rid?: string, 
/**
 * Why nothing is sent, if so.
 */
paused?: PauseReason, };

export type LayerWanted = { 
/**
 * Which encoding; absent for a track with a single one.
 */
rid?: string, 
/**
 * Somebody shows it or is about to.
 */
wanted: boolean, };

export type TrackWanted = { 
/**
 * Which track.
 */
track: TrackId, 
/**
 * Each of its encodings.
 */
layers: Array<LayerWanted>, };

export type LineReport = { 
/**
 * What the line towards the participant carries; absent until something is known.
 */
estimate?: number, 
/**
 * Rate of everything that is given to the participant.
 */
given: number, 
/**
 * Rate at which every picture would be at its best, with room to spare; `given` where all are.
 */
wanted: number, 
/**
 * Milliseconds that packets towards the participant wait on the line.
 */
queue: number, 
/**
 * Packets lost towards the participant in the last second.
 */
loss: number, 
/**
 * Packets lost on the way from the participant in the last second, repaired ones included.
 */
loss_up: number, 
/**
 * Round trip in milliseconds; absent until it was measured.
 */
rtt?: number, };

export type Score = "good" | "fair" | "poor";

export type Direction = "upload" | "download";

export type LineScore = { 
/**
 * Whose line.
 */
participant: ParticipantId, 
/**
 * How it does.
 */
score: Score, 
/**
 * Where the trouble is.
 */
cause: Direction, };

export type PathFromHost = { "type": "slots", 
/**
 * One entry per slot that shows something or wants to.
 */
slots: Array<SlotShown>, } | { "type": "speakers", 
/**
 * Loudest first, at most as many as there are audio slots.
 */
speakers: Array<ParticipantId>, } | { "type": "wanted", 
/**
 * One entry per video track of this leg.
 */
tracks: Array<TrackWanted>, } | { "type": "line", 
/**
 * In figures.
 */
line: LineReport, } | { "type": "lines", 
/**
 * At most [`crate::limits::MAX_LINES`], the worst first.
 */
lines: Array<LineScore>, } | { "type": "pulse", 
/**
 * Grows by one each time.
 */
count: number, 
/**
 * Milliseconds for which this host has heard nobody, if that is longer than it ever lasts: what it forwards is nothing, although
 * it forwards. The beat says no more than that one so much earlier.
 */
deaf_ms?: number, } | { "type": "unknown" };
