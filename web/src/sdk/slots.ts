// Which track each video slot shows. Pure: no peer connection, no page.

import type { SlotView, TrackId } from './protocol.gen.ts';

/** A picture somebody wants to see, and how large it is on the screen, in device pixels. */
export interface Want {
  readonly track: TrackId;
  readonly width: number;
  readonly height: number;
  /** Highest useful frame rate; 0 means no limit. */
  readonly fps: number;
  /** 0 is least important. */
  readonly priority: number;
}

/** Slots are asked for in portions of this many. */
export const SLOT_PORTION = 9;
/** More video slots than this would not fit into an offer with everything else. */
export const MOST_SLOTS = 63;

/** Video slots a leg needs for so many pictures. */
export function slotsNeeded(wants: number): number {
  const portions = Math.max(1, Math.ceil(wants / SLOT_PORTION));
  return Math.min(MOST_SLOTS, portions * SLOT_PORTION);
}

/**
 * Gives every wanted track a slot: who has one keeps it, the others take free ones, preferably those that showed nothing.
 * Where slots run out the most important wants win.
 */
export function assignSlots(
  slots: readonly string[],
  previous: ReadonlyMap<string, TrackId>,
  wants: readonly Want[],
): Map<string, TrackId> {
  const ranked = wants.toSorted((a, b) => b.priority - a.priority).slice(0, slots.length);
  const wanted = new Set(ranked.map((want) => want.track));
  const next = new Map<string, TrackId>();
  for (const slot of slots) {
    const track = previous.get(slot);
    if (track !== undefined && wanted.delete(track)) next.set(slot, track);
  }
  const free = slots.filter((slot) => !next.has(slot)).toSorted((a, b) => Number(previous.has(a)) - Number(previous.has(b)));
  for (const track of wanted) {
    const slot = free.shift();
    if (slot !== undefined) next.set(slot, track);
  }
  return next;
}

const pixels = (value: number): number => Math.min(65_535, Math.max(1, Math.round(value)));
const byte = (value: number): number => Math.min(255, Math.max(0, Math.round(value)));

/** The words of a view for an assignment. */
export function viewOf(assigned: ReadonlyMap<string, TrackId>, wants: readonly Want[]): SlotView[] {
  const byTrack = new Map(wants.map((want) => [want.track, want]));
  return [...assigned].flatMap(([slot, track]) => {
    const want = byTrack.get(track);
    if (want === undefined) return [];
    return [{ slot, track, width: pixels(want.width), height: pixels(want.height), fps: byte(want.fps), priority: byte(want.priority) }];
  });
}
