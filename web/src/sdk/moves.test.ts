import { expect, test } from 'vitest';
import { TimeLine } from './moves.ts';

/** Pictures every 40 ms. */
function show(line: TimeLine, track: number, from: number, to: number): void {
  for (let now = from; now <= to; now += 40) line.frame(track, now);
}

test('a gap counts over both legs, against the same picture before', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  show(line, 7, 4120, 6000);
  expect(line.cost(3600, 5000)).toEqual({ longestGapMs: 120, baselineMs: 40 });
  expect(line.cost(4600, 5600)).toEqual({ longestGapMs: 40, baselineMs: 120 });
});

test('the picture for which it was worst is told', () => {
  const line = new TimeLine();
  show(line, 7, 0, 6000);
  show(line, 8, 0, 4000);
  show(line, 8, 4400, 6000);
  expect(line.cost(3600, 5000)).toEqual({ longestGapMs: 400, baselineMs: 40 });
});

test('a picture that stands still until the end is a gap', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  expect(line.cost(3600, 5000).longestGapMs).toBe(1000);
});

test('pictures that were shown without a word are no gap, nor is a pause', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  line.frame(7, 4120, 2);
  expect(line.cost(3600, 4120)).toEqual({ longestGapMs: 40, baselineMs: 40 });
  line.pause(7);
  line.frame(7, 9000);
  expect(line.cost(3600, 9000)).toEqual({ longestGapMs: 0, baselineMs: null });
});

test('where nothing was shown nothing is known', () => {
  expect(new TimeLine().cost(0, 1000)).toEqual({ longestGapMs: null, baselineMs: null });
});
