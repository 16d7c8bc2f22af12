import { describe, expect, test } from 'vitest';
import { FrameGaps } from './gaps.ts';
import { activeEncodings, restable, cameraEncodings, layerInfos, preferAudio, preferCodecs } from './layers.ts';
import { problemOf } from './problem.ts';

const codecs = [
  { mimeType: 'video/VP8' },
  { mimeType: 'video/rtx' },
  { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=0' },
  { mimeType: 'video/VP9', sdpFmtpLine: 'profile-id=2' },
  { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f' },
  { mimeType: 'video/H264', sdpFmtpLine: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f' },
  { mimeType: 'video/AV1', sdpFmtpLine: 'level-idx=5;profile=0;tier=0' },
  { mimeType: 'video/ulpfec' },
];

describe('codecs', () => {
  test('one of each kind is offered, the chosen one first, retransmission last', () => {
    const names = preferCodecs(codecs, 'av1').map((codec) => codec.mimeType.slice(6));
    expect(names).toEqual(['AV1', 'VP8', 'VP9', 'H264', 'rtx']);
    expect(preferCodecs(codecs, 'h264')[0]?.sdpFmtpLine).toContain('packetization-mode=1');
  });

  test('a browser that names nothing known keeps its own list', () => {
    expect(preferCodecs([{ mimeType: 'video/rtx' }, { mimeType: 'video/H265' }], 'vp8')).toEqual([]);
  });

  test('sound is sent twice where the browser can', () => {
    const audio = ['audio/opus', 'audio/red', 'audio/PCMU'].map((mimeType) => ({ mimeType }));
    expect(preferAudio(audio).map((codec) => codec.mimeType)).toEqual(['audio/red', 'audio/opus']);
    expect(preferAudio([{ mimeType: 'audio/opus' }])).toEqual([{ mimeType: 'audio/opus' }]);
  });

  test('encodings that nobody watches are not made, and none of a camera that is off', () => {
    const encodings = ['q', 'h', 'f'].map((rid) => ({ rid, active: true }));
    const off = (rids: string): { rid: string; wanted: boolean }[] => [...'qhf'].map((rid) => ({ rid, wanted: !rids.includes(rid) }));
    const active = (list: readonly { active: boolean }[] | null): boolean[] | undefined => list?.map((encoding) => encoding.active);
    expect(activeEncodings(encodings, true, [])).toBeNull();
    expect(active(activeEncodings(encodings, true, off('hf')))).toEqual([true, false, false]);
    expect(active(activeEncodings(encodings, true, off('qhf')))).toEqual([false, false, false]);
    expect(active(activeEncodings(encodings, false, off('f')))).toEqual([false, false, false]);
    const first = activeEncodings(encodings, true, off('h')) ?? [];
    expect(activeEncodings(first, true, off('h'))).toBeNull();
    expect(active(activeEncodings(first, true, off('')))).toEqual([true, true, true]);
    expect(activeEncodings([{ active: true }], true, [{ wanted: false }])).toEqual([{ active: false }]);
    expect(restable(off('q'), true)).toEqual(off(''));
    expect(restable(off('qhf'), true)).toEqual(off('qhf'));
    expect(restable(off('q'), false)).toEqual(off('q'));
  });

  test('a small camera gets fewer layers and every layer its size', () => {
    expect(cameraEncodings(1280, 'vp8').map((layer) => layer.rid)).toEqual(['q', 'h', 'f']);
    expect(cameraEncodings(640, 'vp8').map((layer) => layer.rid)).toEqual(['h', 'f']);
    expect(layerInfos(cameraEncodings(1280, 'vp8'), 1280, 720).map(({ width, height }) => [width, height])).toEqual([[320, 180], [640, 360], [1280, 720]]);
  });

  test('layers of VP9 and AV1 are separate streams', () => {
    expect(cameraEncodings(1280, 'vp9').every((layer) => layer.scalabilityMode === 'L1T3')).toBe(true);
    expect(cameraEncodings(1280, 'h264').some((layer) => 'scalabilityMode' in layer)).toBe(false);
  });
});

describe('gaps', () => {
  test('the longest time between two pictures is kept, a running one counts', () => {
    const gaps = new FrameGaps();
    for (const at of [0, 33, 133, 166]) gaps.frame(1, at);
    expect(gaps.longest(1, 170)).toBe(100);
    expect(gaps.longest(1, 466)).toBe(300);
    gaps.reset();
    gaps.frame(1, 199);
    expect(gaps.longest(1, 200)).toBe(33);
  });

  test('pictures that were shown but not called for do not count as a gap', () => {
    const gaps = new FrameGaps();
    gaps.frame(1, 0);
    gaps.frame(1, 99, 2);
    expect(gaps.longest(1, 99)).toBe(33);
  });

  test('a pause and a hidden tab are no gaps, and nothing is said about a hidden tab', () => {
    const gaps = new FrameGaps();
    gaps.frame(1, 0);
    gaps.pause(1);
    gaps.frame(1, 5000);
    expect(gaps.longest(1, 5010)).toBe(10);
    gaps.setHidden(true);
    expect(gaps.longest(1, 9000)).toBeNull();
    gaps.setHidden(false);
    gaps.frame(1, 9000);
    expect(gaps.longest(1, 9000)).toBe(0);
    expect(gaps.longest(2, 9000)).toBeNull();
  });
});

test.each([
  ['NotAllowedError', 'Permission denied', 'denied'],
  ['NotAllowedError', 'Permissions policy violation', 'blocked'],
  ['NotFoundError', '', 'missing'],
  ['NotReadableError', '', 'busy'],
  ['OverconstrainedError', '', 'unfit'],
  ['EtherError', '', 'unknown'],
] as const)('%s (%s) is told as %s', (name, message, problem) => {
  expect(problemOf(Object.assign(new Error(message), { name }), true)).toBe(problem);
  expect(problemOf(Object.assign(new Error(message), { name }), false)).toBe('insecure');
});
