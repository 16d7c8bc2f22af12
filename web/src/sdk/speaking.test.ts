import { expect, test } from 'vitest';

import { Speaking } from './speaking.ts';

const ANA = 7;
const TICK = 100;

/** Looks every 100 ms for two seconds; a packet comes every 20 ms until `until`. Gives when she last spoke, and her level then and at the end. */
function lastSpoke(level: number, until: number): { spoke: number; level: number } {
  const speaking = new Speaking();
  let spoke = -1;
  for (let now = 0; now <= 2000; now += TICK) {
    // Of another clock than the page's, as in some browsers.
    speaking.hear(ANA, level, now, 1_700_000_000_000 + Math.min(now, until));
    if (speaking.at(now).has(ANA)) spoke = now;
  }
  return { spoke, level: speaking.level(ANA) };
}

test('somebody speaks until some time after the last loud word', () => {
  const speaking = new Speaking();
  speaking.hear(4, 0.2, 1000, 1);
  speaking.hear(5, 0.001, 1000, 1);
  expect([...speaking.at(1500)]).toEqual([4]);
  expect([...speaking.at(3000)]).toEqual([]);
});

test('who speaks is told as long as packets come', () => {
  expect(lastSpoke(0.05, 2000)).toEqual({ spoke: 2000, level: 0.05 });
  expect(lastSpoke(0.001, 2000)).toEqual({ spoke: -1, level: 0.001 });
});

test('a voice that was cut off in the middle of a word is not heard for ever', () => {
  const { spoke, level } = lastSpoke(0.05, 500);
  expect(level).toBe(0);
  expect(spoke).toBeGreaterThan(500);
  expect(spoke).toBeLessThanOrEqual(1800);
});
