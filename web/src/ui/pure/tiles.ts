// Which tiles a call has and what they need from the host. Pure.

import type { CallState, ParticipantInfo, TrackInfo, Want } from '../../sdk/index.ts';
import type { Rect } from './grid.ts';

/** One tile to be: a person (with a picture or without) or a screen. */
export interface Tile {
  readonly key: string;
  readonly kind: 'self' | 'camera' | 'screen';
  readonly person: ParticipantInfo;
  /** The picture, where one is sent. */
  readonly track: TrackInfo | null;
}

/** All tiles: screens first, then people as they came. The own screen is not shown: it would show itself. */
export function tilesOf(state: CallState): Tile[] {
  const others = state.participants.filter((person) => person.id !== state.me);
  const screens = others.flatMap((person) =>
    person.tracks
      .filter((track) => track.source === 'screen' && !track.muted)
      .map((track): Tile => ({ key: `screen-${track.id}`, kind: 'screen', person, track })));
  const people = others.map((person): Tile => ({
    key: `person-${person.id}`,
    kind: 'camera',
    person,
    track: person.tracks.find((track) => track.source === 'camera' && !track.muted) ?? null,
  }));
  return [...screens, ...people];
}

/** A tile and where it is. */
export interface Placed {
  readonly tile: Tile;
  readonly rect: Rect;
  readonly isFocus: boolean;
}

/** Strips with more faces than this need no full rate. */
const CALM_STRIP = 6;
const CALM_FPS = 15;

/** What to ask the host for: every picture that is on the screen, in device pixels. */
export function wantsOf(placed: readonly Placed[], pixelRatio: number, speakers: readonly number[]): Want[] {
  const hasFocus = placed.some((place) => place.isFocus);
  return placed.flatMap(({ tile, rect, isFocus }) => {
    if (tile.track === null || tile.kind === 'self') return [];
    const speaks = speakers[0] === tile.person.id;
    return [{
      track: tile.track.id,
      width: rect.width * pixelRatio,
      height: rect.height * pixelRatio,
      fps: hasFocus && !isFocus && placed.length > CALM_STRIP ? CALM_FPS : 0,
      priority: tile.kind === 'screen' ? 30 : isFocus ? 20 : speaks ? 10 : 1,
    }];
  });
}
