import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Rect, grid, pageSize, stage } from './grid.ts';
import { reorder } from './order.ts';

const box = fc.record({ width: fc.integer({ min: 120, max: 4000 }), height: fc.integer({ min: 120, max: 3000 }) });
const GAP = 8;
const EPSILON = 1e-6;

function expectApart(rects: readonly Rect[], within: { width: number; height: number }): void {
  for (const [index, a] of rects.entries()) {
    expect(a.x).toBeGreaterThanOrEqual(-EPSILON);
    expect(a.y).toBeGreaterThanOrEqual(-EPSILON);
    expect(a.x + a.width).toBeLessThanOrEqual(within.width + EPSILON);
    expect(a.y + a.height).toBeLessThanOrEqual(within.height + EPSILON);
    for (const b of rects.slice(index + 1)) {
      const isApart = a.x + a.width <= b.x + EPSILON || b.x + b.width <= a.x + EPSILON || a.y + a.height <= b.y + EPSILON || b.y + b.height <= a.y + EPSILON;
      expect(isApart).toBe(true);
    }
  }
}

describe('the grid', () => {
  test('tiles never overlap and never leave the box', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 25 }), box, (count, within) => {
      const rects = grid(count, within, GAP);
      if (rects.length > 0) expect(rects.length).toBe(count);
      expectApart(rects, within);
    }));
  });

  test('tiles are equal and between square and 16:9', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 25 }), box, (count, within) => {
      for (const { width, height } of grid(count, within, GAP)) {
        expect(width / height).toBeGreaterThanOrEqual(1 - EPSILON);
        expect(width / height).toBeLessThanOrEqual(16 / 9 + EPSILON);
      }
    }));
  });

  test('no number of columns would cover more', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 25 }), box, (count, within) => {
      const [tile] = grid(count, within, GAP);
      const area = tile ? tile.width * tile.height : 0;
      for (let columns = 1; columns <= count; columns++) {
        const rows = Math.ceil(count / columns);
        const width = (within.width - GAP * (columns - 1)) / columns;
        const height = (within.height - GAP * (rows - 1)) / rows;
        const used = width <= 0 || height <= 0 ? 0 : Math.min(width, (height * 16) / 9) * Math.min(height, width);
        expect(area).toBeGreaterThanOrEqual(used - 1e-3);
      }
    }));
  });

  test('two people sit side by side on a desk and one above the other on a phone', () => {
    const [a, b] = grid(2, { width: 1280, height: 600 }, GAP);
    expect(a?.y).toBe(b?.y);
    const [c, d] = grid(2, { width: 360, height: 640 }, GAP);
    expect(c?.x).toBe(d?.x);
  });

  test('a page never holds tiles that are too small to see', () => {
    const phone = { width: 344, height: 600 };
    const size = pageSize(40, phone, GAP, 150, 49);
    expect(size).toBeLessThan(40);
    expect(grid(size, phone, GAP)[0]?.width).toBeGreaterThanOrEqual(150);
  });
});

test('the large place and its strip keep apart in any box', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 30 }), box, (count, within) => {
    const { focus, strip } = stage(count, within, GAP);
    if (focus.width > 0 && focus.height > 0) expectApart([focus, ...strip], within);
  }));
});

describe('the order', () => {
  test('a tile that is seen stays where it is when others come, go and speak', () => {
    expect(reorder(['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd', 'e'], ['b'], 2)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(reorder(['a', 'b', 'c', 'd'], ['b', 'c', 'd'], [], 2)).toEqual(['b', 'c', 'd']);
  });

  test('who speaks off the page changes places with somebody silent on it', () => {
    expect(reorder(['a', 'b', 'c', 'd'], ['a', 'b', 'c', 'd'], ['d', 'b'], 2)).toEqual(['d', 'b', 'c', 'a']);
  });

  test('everybody is there exactly once, and the speakers are on the page', () => {
    const ids = fc.uniqueArray(fc.nat(30), { maxLength: 20 });
    fc.assert(fc.property(ids, ids, ids, fc.integer({ min: 1, max: 9 }), (previous, present, first, visible) => {
      const speakers = first.filter((id) => present.includes(id));
      const next = reorder(previous, present, speakers, visible);
      expect(next.toSorted((a, b) => a - b)).toEqual(present.toSorted((a, b) => a - b));
      for (const id of speakers.slice(0, visible)) expect(next.indexOf(id)).toBeLessThan(visible);
    }));
  });
});
