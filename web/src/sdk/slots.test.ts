import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_SLOTS, type Want, assignSlots, slotsNeeded, viewOf } from './slots.ts';

const want = (track: number, priority = 0): Want => ({ track, width: 640, height: 360, fps: 0, priority });
const slots = ['5', '6', '7'];

describe('slots', () => {
  test('who has a slot keeps it when others come and go', () => {
    const first = assignSlots(slots, new Map(), [want(1), want(2)]);
    const second = assignSlots(slots, first, [want(3, 9), want(2)]);
    const slotOf = (track: number, map: Map<string, number>): string | undefined => [...map].find(([, shown]) => shown === track)?.[0];
    expect(slotOf(2, second)).toBe(slotOf(2, first));
    expect(slotOf(1, second)).toBeUndefined();
  });

  test('a newcomer takes a slot that showed nothing rather than one with an old picture', () => {
    const next = assignSlots(slots, new Map([['5', 1]]), [want(2)]);
    expect([...next]).toEqual([['6', 2]]);
  });

  test('where slots run out the important win', () => {
    const next = assignSlots(['5'], new Map([['5', 1]]), [want(1), want(2, 30)]);
    expect([...next]).toEqual([['5', 2]]);
  });

  test('any sequence of wishes gives each track one slot and moves none that stays', () => {
    const wishes = fc.uniqueArray(fc.record({ track: fc.nat(15), priority: fc.nat(3) }), { selector: (item) => item.track, maxLength: 12 });
    fc.assert(fc.property(fc.array(wishes, { maxLength: 8 }), fc.integer({ min: 1, max: 9 }), (steps, count) => {
      const mids = Array.from({ length: count }, (_, index) => `${index + 5}`);
      let before = new Map<string, number>();
      for (const step of steps) {
        const after = assignSlots(mids, before, step.map(({ track, priority }) => want(track, priority)));
        expect(new Set(after.values()).size).toBe(after.size);
        expect(after.size).toBe(Math.min(count, step.length));
        for (const [slot, track] of before) if ([...after.values()].includes(track)) expect(after.get(slot)).toBe(track);
        before = after;
      }
    }));
  });

  test('sizes on the wire fit their fields', () => {
    const [entry] = viewOf(new Map([['5', 1]]), [{ track: 1, width: 0.2, height: 1e9, fps: 900, priority: -3 }]);
    expect(entry).toEqual({ slot: '5', track: 1, width: 1, height: 65_535, fps: 255, priority: 0 });
  });

  test('slots grow by nine and end somewhere', () => {
    expect([0, 9, 10, 28, 500].map(slotsNeeded)).toEqual([9, 9, 18, 36, MOST_SLOTS]);
  });
});
