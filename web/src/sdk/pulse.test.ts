import { describe, expect, test } from 'vitest';
import { Pulse } from './pulse.ts';

/** Beats every 50 ms from `from` on until and without `to`, looked at each time. */
function beat(pulse: Pulse, from: number, to: number): string[] {
  const said: string[] = [];
  for (let now = from; now < to; now += 50) {
    pulse.beat(now);
    said.push(pulse.look(now).alarm);
  }
  return said;
}

describe('the heart of a host', () => {
  test('a host that never beat is not watched', () => {
    expect(new Pulse().look(60_000)).toEqual({ alarm: 'none', silentFor: 0, isLost: false });
  });

  test('silence is suspected at 150 ms, believed at 250 ms and told at 2 s', () => {
    const pulse = new Pulse();
    beat(pulse, 0, 1001);
    const at = (silence: number): unknown => [pulse.look(1000 + silence).alarm, pulse.look(1000 + silence).isLost];
    expect([100, 149, 150, 249, 250, 1999, 2000].map(at)).toEqual([
      ['none', false], ['none', false], ['suspect', false], ['suspect', false], ['silent', false], ['silent', false], ['silent', true],
    ]);
  });

  test('a beat takes a suspicion back at once', () => {
    const pulse = new Pulse();
    beat(pulse, 0, 1001);
    expect(pulse.look(1180).alarm).toBe('suspect');
    pulse.beat(1185);
    expect(pulse.look(1185).alarm).toBe('none');
  });

  test('a host that was silent has to beat for a second before it is believed again', () => {
    const pulse = new Pulse();
    beat(pulse, 0, 1001);
    expect(pulse.look(1300).alarm).toBe('silent');
    const said = beat(pulse, 1300, 2400);
    expect(said.slice(0, 20).every((alarm) => alarm === 'silent')).toBe(true);
    expect(said.at(-1)).toBe('none');
  });

  test('the beat of a host that hears nobody is as old as what it heard last', () => {
    const pulse = new Pulse();
    beat(pulse, 0, 1001);
    const at = (now: number, deafFor: number): string => {
      pulse.beat(now, deafFor);
      return pulse.look(now).alarm;
    };
    expect([at(1050, 200), at(1100, 250), at(1150, 300)]).toEqual(['suspect', 'silent', 'silent']);
    expect(pulse.look(2860).isLost).toBe(true);
    expect(beat(pulse, 2900, 4000).at(-1)).toBe('none');
  });

  test('silence while ICE restarts says nothing, and counts from its end', () => {
    const pulse = new Pulse();
    beat(pulse, 0, 1001);
    pulse.suspend(true, 1010);
    expect(pulse.look(1500).alarm).toBe('none');
    pulse.suspend(false, 1500);
    expect(pulse.look(1600).alarm).toBe('none');
    expect(pulse.look(1800).alarm).toBe('silent');
  });
});
