// What is sent of a picture: codecs, simulcast layers, their rates. Pure.

import type { LayerInfo, LayerWanted } from './protocol.gen.ts';

export const VIDEO_CODECS = ['vp8', 'vp9', 'av1', 'h264'] as const;
export type VideoCodec = (typeof VIDEO_CODECS)[number];

export const isVideoCodec = (text: string): text is VideoCodec => (VIDEO_CODECS as readonly string[]).includes(text);

/** What `RTCRtpCodec` says, as far as it matters here. */
export interface CodecLike {
  readonly mimeType: string;
  readonly sdpFmtpLine?: string | undefined;
}

function family(codec: CodecLike): VideoCodec | 'rtx' | null {
  const name = codec.mimeType.toLowerCase().replace(/^video\//, '');
  const fmtp = codec.sdpFmtpLine?.toLowerCase() ?? '';
  switch (name) {
    case 'vp8':
    case 'rtx':
      return name;
    case 'vp9':
      return /profile-id=[1-9]/.test(fmtp) ? null : name;
    case 'av1':
      return /profile=[1-9]/.test(fmtp) ? null : name;
    case 'h264':
      return /packetization-mode=1/.test(fmtp) && /profile-level-id=42e01f/.test(fmtp) ? name : null;
    default:
      return null;
  }
}

/** One entry for each codec Baton forwards, `first` in front, with retransmission: a small offer. */
export function preferCodecs<C extends CodecLike>(codecs: readonly C[], first: VideoCodec): C[] {
  const order = [first, ...VIDEO_CODECS.filter((codec) => codec !== first), 'rtx'];
  const chosen = order.flatMap((name) => codecs.find((codec) => family(codec) === name) ?? []);
  return chosen.some((codec) => family(codec) !== 'rtx') ? chosen : [];
}

/** Speech with a copy of the packet before in each packet (RFC 2198) first: one lost packet is then not heard. */
export function preferAudio<C extends CodecLike>(codecs: readonly C[]): C[] {
  const named = (name: string): C[] => codecs.filter((codec) => codec.mimeType.toLowerCase() === `audio/${name}`);
  const opus = named('opus');
  return opus.length > 0 ? [...named('red'), ...opus] : [];
}

/** One simulcast layer of a camera. */
export interface Encoding {
  readonly rid: string;
  readonly scaleResolutionDownBy: number;
  readonly maxBitrate: number;
  readonly scalabilityMode?: string;
}

const LADDER: readonly Encoding[] = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
];

/** Most layers an encoder makes of a picture so wide: a third would stay silent below 960. */
function layersFor(width: number): number {
  return width >= 960 ? 3 : width >= 480 ? 2 : 1;
}

/** Layers of a camera `width` pixels wide, smallest first. VP9 and AV1 need to be told that the layers are separate streams. */
export function cameraEncodings(width: number, codec: VideoCodec): Encoding[] {
  const layers = LADDER.slice(-layersFor(width));
  return codec === 'vp9' || codec === 'av1' ? layers.map((layer) => ({ ...layer, scalabilityMode: 'L1T3' })) : layers;
}

/**
 * The layers that may rest. Firefox makes all its encoders anew when one of them begins or ends, and whoever watches sees a freeze of half
 * a second: there all rest or none.
 */
export function restable(wanted: readonly LayerWanted[], isFirefox = /\bFirefox\//.test(navigator.userAgent)): readonly LayerWanted[] {
  const isAnyWanted = wanted.some((layer) => layer.wanted);
  return isFirefox ? wanted.map((layer) => ({ ...layer, wanted: isAnyWanted })) : wanted;
}

/**
 * Which encodings shall be sent: all while a track is sent at all, but for those that nobody watches. `wanted`: what the host said of the
 * track, if it did; an encoding it does not name is wanted. Gives null where nothing changes.
 */
export function activeEncodings<E extends { rid?: string | undefined; active?: boolean | undefined }>(
  encodings: readonly E[], isSent: boolean, wanted: readonly LayerWanted[],
): E[] | null {
  const unwanted = new Set(wanted.filter((layer) => !layer.wanted).map((layer) => layer.rid));
  const next = encodings.map((encoding) => ({ ...encoding, active: isSent && !unwanted.has(encoding.rid) }));
  return next.some((encoding, index) => encoding.active !== (encodings[index]?.active ?? true)) ? next : null;
}

export const SCREEN_BITRATE = 2_500_000;

/** How encodings of a picture of this size are told to the room. */
export function layerInfos(encodings: readonly Encoding[], width: number, height: number): LayerInfo[] {
  return encodings.map((encoding) => ({
    rid: encoding.rid,
    width: Math.max(1, Math.round(width / encoding.scaleResolutionDownBy)),
    height: Math.max(1, Math.round(height / encoding.scaleResolutionDownBy)),
    max_bitrate: encoding.maxBitrate,
  }));
}
