// Cameras, microphones and screens. Owns: asking for them with wishes that shrink. Does not own: where their tracks go.

import { type Problem, problemOf } from './problem.ts';

export interface Wish {
  readonly microphone: boolean;
  readonly camera: boolean;
  readonly microphoneId?: string | undefined;
  readonly cameraId?: string | undefined;
  /** A picture of 640x360 at 24 a second: for slow computers and lines. */
  readonly isSmall?: boolean | undefined;
}

export interface Captured {
  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
  /** Why something that was wished for is missing. */
  readonly problem: Problem | null;
}

const byId = (id: string | undefined): MediaTrackConstraints => (id ? { deviceId: { ideal: id } } : {});

function constraints(wish: Wish): MediaStreamConstraints {
  const [width, height, rate] = wish.isSmall ? [640, 360, 24] : [1280, 720, 30];
  return {
    audio: wish.microphone && { ...byId(wish.microphoneId), echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    video: wish.camera && { ...byId(wish.cameraId), width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: rate, max: rate } },
  };
}

/** Asks once for everything, then for less: a broken camera must not cost the voice. */
export async function capture(wish: Wish): Promise<Captured> {
  const nothing = { microphone: null, camera: null };
  if (!globalThis.isSecureContext || !navigator.mediaDevices) return { ...nothing, problem: 'insecure' };
  const smaller: Wish[] = [wish];
  if (wish.microphone && wish.camera) smaller.push({ ...wish, camera: false }, { ...wish, microphone: false });
  let problem: Problem | null = null;
  for (const attempt of smaller) {
    if (!attempt.microphone && !attempt.camera) continue;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(constraints(attempt));
      return { microphone: stream.getAudioTracks()[0] ?? null, camera: stream.getVideoTracks()[0] ?? null, problem };
    } catch (error) {
      problem ??= problemOf(error, globalThis.isSecureContext);
      if (problem === 'denied' || problem === 'blocked') break;
    }
  }
  return { ...nothing, problem };
}

/** Lets the person choose a screen; null where they change their mind. */
export async function captureScreen(): Promise<{ video: MediaStreamTrack; audio: MediaStreamTrack | null } | null> {
  const wish = {
    video: { frameRate: { ideal: 15, max: 30 }, width: { max: 2560 }, height: { max: 1440 } },
    audio: true,
    selfBrowserSurface: 'exclude',
    surfaceSwitching: 'include',
    systemAudio: 'include',
  };
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getDisplayMedia(wish);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotAllowedError') return null;
    throw error;
  }
  const [video] = stream.getVideoTracks();
  if (!video) return null;
  video.contentHint = 'detail';
  return { video, audio: stream.getAudioTracks()[0] ?? null };
}

/** Devices with names; empty names before permission is given are left to the page. */
export async function listDevices(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === kind && device.deviceId !== '');
}
