// The SDK: a call without a framework. What is exported here is what other pages may build on.

export { Call, type CallOptions, type CallState, type ChatLine, type Ending, type Notice } from './call.ts';
export { type Captured, type Wish, capture, captureScreen, listDevices } from './devices.ts';
export type { Status } from './ladder.ts';
export { VIDEO_CODECS, type VideoCodec, isVideoCodec } from './layers.ts';
export { Meter } from './meter.ts';
export type { MoveCost } from './moves.ts';
export type { Own } from './path.ts';
export type { Problem } from './problem.ts';
export type {
  CandidateInfo, Direction, Grants, HostSeat, HostTerm, Hosting, HostingPolicy, LineReport, LineScore, ParticipantId, ParticipantInfo, PauseReason, Source, TrackId, TrackInfo,
} from './protocol.gen.ts';
export type { Report } from './report.ts';
export type { Want } from './slots.ts';
export type { Shown } from './stage.ts';
export { type Picture, Surface } from './surface.ts';
