import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { ParticipantInfo } from './protocol.gen.ts';
import { Roster } from './roster.ts';

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

const person = (id: number, ...tracks: number[]): ParticipantInfo => ({
  id, name: `person ${id}`, connected: true,
  tracks: tracks.map((track) => ({ id: track, mid: String(track), source: 'camera', layers: [], muted: false })),
});

const seen = (roster: Roster) => roster.people.map(({ id, connected, tracks }) => ({ id, connected, tracks: tracks.map((track) => track.id) }));

function restarted(people: ParticipantInfo[], changed = () => {}): Roster {
  const roster = new Roster(changed);
  roster.replace([person(1, 11), person(2, 21, 22)], false);
  roster.replace(people, true);
  return roster;
}

test('whoever a restarted service has not heard of again stays for a while, as away', () => {
  const changed = vi.fn();
  const roster = restarted([person(1, 11)], changed);
  expect(seen(roster)[1]).toEqual({ id: 2, connected: false, tracks: [21, 22] });
  vi.advanceTimersByTime(29_999);
  expect(roster.people).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect([roster.people.length, changed.mock.calls.length]).toEqual([1, 1]);
});

test('who is back before their host has said what they send keeps their tracks until it does', () => {
  const roster = restarted([person(1, 11), person(2)]);
  expect(seen(roster)[1]).toEqual({ id: 2, connected: true, tracks: [21, 22] });
  expect(roster.put(person(2))).toBe(false);
  expect(seen(roster)[1]?.tracks).toEqual([21, 22]);
  roster.put(person(2, 22));
  expect(seen(roster)[1]?.tracks).toEqual([22]);
  roster.put(person(2));
  expect(seen(roster)[1]?.tracks).toEqual([]);
});

test('tracks that never come again end with the wait, and who sent them stays', () => {
  const roster = restarted([person(1, 11), person(2)]);
  vi.advanceTimersByTime(30_000);
  expect(seen(roster)[1]).toEqual({ id: 2, connected: true, tracks: [] });
});

test('who is missing goes at once when the host says that their tracks ended', () => {
  const roster = restarted([person(1, 11)]);
  expect(roster.end(new Set([99]))).toBe(false);
  expect(roster.end(new Set([21]))).toBe(true);
  expect(roster.people.map(({ id }) => id)).toEqual([1]);
  expect(roster.put(person(2))).toBe(true);
});

test('a service that knows everybody is believed at once', () => {
  const roster = restarted([person(1, 11)]);
  roster.replace([person(1)], false);
  expect(seen(roster)).toEqual([{ id: 1, connected: true, tracks: [] }]);
  expect(roster.remove(1)?.name).toBe('person 1');
  expect(roster.people).toEqual([]);
});
