import { expect, test } from 'vitest';
import { TimeLine } from './moves.ts';

/** Pictures every 40 ms. */
function show(line: TimeLine, track: number, from: number, to: number, height = 360): void {
  for (let at = from; at <= to; at += 40) line.frame(track, { at, skipped: 0, height });
}

test('a gap counts over both legs, against the same picture before', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  show(line, 7, 4120, 6000);
  expect(line.cost(3600, 5000)).toEqual({ longestGapMs: 120, baselineMs: 40, smallerMs: 120 });
  expect(line.cost(4600, 5600)).toEqual({ longestGapMs: 40, baselineMs: 120, smallerMs: 40 });
});

test('the picture for which it was worst is told', () => {
  const line = new TimeLine();
  show(line, 7, 0, 6000);
  show(line, 8, 0, 4000);
  show(line, 8, 4400, 6000);
  expect(line.cost(3600, 5000)).toEqual({ longestGapMs: 400, baselineMs: 40, smallerMs: 400 });
});

test('a picture that stands still until the end is a gap', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  expect(line.cost(3600, 5000).longestGapMs).toBe(1000);
});

test('pictures that were shown without a word are no gap, nor is a pause', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  line.frame(7, { at: 4120, skipped: 2, height: 360 });
  expect(line.cost(3600, 4120)).toEqual({ longestGapMs: 40, baselineMs: 40, smallerMs: 40 });
  line.pause(7);
  line.frame(7, { at: 9000, skipped: 0, height: 360 });
  expect(line.cost(3600, 9000)).toEqual({ longestGapMs: 0, baselineMs: null, smallerMs: 0 });
});

test('where nothing was shown nothing is known', () => {
  expect(new TimeLine().cost(0, 1000)).toEqual({ longestGapMs: null, baselineMs: null, smallerMs: null });
});

test('pictures smaller than before the change are told of until they are as large again, those of whom it was worst', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  show(line, 7, 4120, 4600, 180);
  show(line, 7, 4640, 6000);
  show(line, 8, 0, 6000, 90);
  expect(line.cost(3600, 5000)).toEqual({ longestGapMs: 120, baselineMs: 40, smallerMs: 640 });
});

test('pictures that stay smaller count until the end, and larger ones not at all', () => {
  const line = new TimeLine();
  show(line, 7, 0, 4000);
  show(line, 7, 4040, 6000, 180);
  expect(line.cost(3600, 5000).smallerMs).toBe(1000);
  const other = new TimeLine();
  show(other, 7, 0, 4000);
  show(other, 7, 4040, 6000, 720);
  expect(other.cost(3600, 5000).smallerMs).toBe(40);
});
