import { expect, test } from 'vitest';
import { Upload } from './upload.ts';

test('a slow line is news after three looks that say so, and once', () => {
  const upload = new Upload();
  expect([true, true, false, true, true, true, true].map((isSlow) => upload.note(isSlow))).toEqual([null, null, null, null, null, true, null]);
  expect([false, false, false].map((isSlow) => upload.note(isSlow))).toEqual([null, null, false]);
});

test('it is looked at every two seconds', () => {
  const upload = new Upload();
  expect([0, 500, 1999, 2000, 2100, 4000].map((now) => upload.isDue(now))).toEqual([true, false, false, true, false, true]);
});
