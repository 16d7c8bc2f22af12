import { describe, expect, test } from 'vitest';
import { Changeover } from './changeover.ts';

const voices = (...ids: number[]): ReadonlySet<number> => new Set(ids);

describe('changing over', () => {
  test('pictures are asked for one after the other, the most important first', () => {
    const change = new Changeover(0, false);
    expect(change.ask([7, 8, 9], 0)).toEqual([7]);
    expect(change.ask([7, 8, 9], 100)).toEqual([7]);
    change.arrive(7);
    expect(change.ask([7, 8, 9], 110)).toEqual([7, 8]);
    expect(change.ask([7, 8, 9], 410), 'one that does not come keeps nobody waiting').toEqual([7, 8, 9]);
  });

  test('many pictures come in a few waves', () => {
    const all = Array.from({ length: 49 }, (_, index) => index);
    const change = new Changeover(0, false);
    let waves = 0;
    for (; !change.isDone(all, 0) && waves < 100; waves += 1) {
      change.hear();
      for (const track of change.ask(all, 0)) change.arrive(track);
    }
    expect(waves).toBeLessThanOrEqual(8);
  });

  test('when the old leg is dead everything is asked for at once', () => {
    expect(new Changeover(0, true).ask([7, 8, 9], 0)).toEqual([7, 8, 9]);
  });

  test('it is done when every wanted picture and the voices are there', () => {
    const change = new Changeover(0, true);
    change.ask([7, 8], 0);
    change.arrive(7);
    change.hear();
    expect(change.isDone([7, 8], 10)).toBe(false);
    expect(change.isDone([7], 10), 'what nobody wants any more is not waited for').toBe(true);
    change.arrive(8);
    expect(change.isDone([7, 8], 20)).toBe(true);
    expect(change.isDone([7, 8, 9], 20), 'somebody turned a camera on').toBe(false);
  });

  test('a picture that never comes is given up', () => {
    const change = new Changeover(0, true);
    change.hear();
    change.ask([7], 0);
    expect(change.isDone([7], 2499)).toBe(false);
    expect(change.isDone([7], 2500)).toBe(true);
  });

  test('voices change over when everybody who is heard would be heard', () => {
    const change = new Changeover(0, false);
    expect(change.isTimeToHear(voices(1, 2), voices(1), 50)).toBe(false);
    expect(change.isTimeToHear(voices(1, 2), voices(1), 760)).toBe(false);
    expect(change.isTimeToHear(voices(1, 2), voices(1, 2, 3), 760)).toBe(true);
    expect(change.isTimeToHear(voices(1, 2), voices(1), 1500), 'but not for ever').toBe(true);
    expect(change.isTimeToHear(voices(1), voices(), 5000), 'a leg that is silent is not changed to').toBe(false);
    expect(change.isTimeToHear(voices(), voices(), 299)).toBe(false);
    expect(change.isTimeToHear(voices(), voices(), 300), 'where nobody speaks there is nothing to lose').toBe(true);
  });

  test('a new leg plays unheard for a while first, unless the old one is dead', () => {
    const change = new Changeover(0, false);
    expect(change.isTimeToHear(voices(1), voices(1), 100)).toBe(false);
    expect(change.isTimeToHear(voices(1), voices(1), 799)).toBe(false);
    change.hurry();
    expect(change.isTimeToHear(voices(1), voices(1), 799)).toBe(true);
    expect(new Changeover(0, true).isTimeToHear(voices(), voices(1), 20)).toBe(true);
    const calm = new Changeover(0, false);
    calm.isTimeToHear(voices(1), voices(1), 100);
    expect(calm.isTimeToHear(voices(1), voices(1), 800)).toBe(true);
  });
});
