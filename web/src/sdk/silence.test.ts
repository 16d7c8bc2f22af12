import { expect, test } from 'vitest';

import { SUSPICIOUS_MS, Silence } from './silence.ts';

const TICK = 250;

/** Looks every 250 ms; `comes` says whether something came since the look before. Gives the times of suspicion. */
function suspicions(until: number, comes: (now: number) => boolean): number[] {
  const silence = new Silence();
  const times = [];
  let newest = 0;
  for (let now = 0; now <= until; now += TICK) {
    if (comes(now)) newest = now + 1;
    if (silence.look(newest, now)) times.push(now);
  }
  return times;
}

test('a steady flow that stops is suspicious a second later, and once', () => {
  expect(suspicions(10_000, (now) => now < 5000)).toEqual([4750 + SUSPICIOUS_MS]);
});

test('what never came does not stop, and a short sound says nothing', () => {
  expect(suspicions(10_000, () => false)).toEqual([]);
  expect(suspicions(10_000, (now) => now >= 2000 && now < 2500)).toEqual([]);
});

test('jitter is no silence, and each steady flow may stop once', () => {
  expect(suspicions(10_000, (now) => now % 750 === 0)).toEqual([]);
  expect(suspicions(20_000, (now) => now % 10_000 < 5000)).toEqual([5750, 15_750]);
});
