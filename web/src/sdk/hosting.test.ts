import { describe, expect, test } from 'vitest';
import { audiences, counts, goalOf, hostingOf, seatsOf, standInOf } from './hosting.ts';
import type { HostKind, HostSeat, Hosting, MovePhase } from './protocol.gen.ts';

const SERVER = 1;
const ANAS = 2;
const BENS = 3;
const seat = (host: number, kind: HostKind = 'participant', owner = host * 10): HostSeat =>
  ({ host, kind, name: `host ${host}`, ...(kind === 'participant' && { owner }) });
const viaServer: Hosting = hostingOf({ epoch: 3, host: SERVER, kind: 'central', name: 'sfu' });
const atAnas: Hosting = {
  ...viaServer, term: { epoch: 4, host: ANAS, kind: 'participant', name: 'Ana' }, owner: 20, grant: 'signed', mine: ANAS,
  standby: seat(SERVER, 'central'),
};
const move = (hosting: Hosting, to: HostSeat, phase: MovePhase): Hosting => ({ ...hosting, moving: { epoch: 9, to, phase, grant: 'next' } });

describe('which legs there shall be', () => {
  test('one to each host that is named, with the epoch and the grant that belong to it', () => {
    expect(seatsOf(viaServer)).toEqual([{ host: SERVER, kind: 'central', role: 'mine', epoch: 3, grant: null }]);
    expect(seatsOf(move(atAnas, seat(BENS), 'prepare'))).toEqual([
      { host: ANAS, kind: 'participant', role: 'mine', epoch: 4, grant: 'signed' },
      { host: BENS, kind: 'participant', role: 'next', epoch: 9, grant: 'next' },
      { host: SERVER, kind: 'central', role: 'standby', epoch: 4, grant: null },
    ]);
  });

  test('a standby to which the call moves needs no second leg', () => {
    const seats = seatsOf(move(atAnas, seat(SERVER, 'central'), 'prepare'));
    expect(seats.map(({ host, role, epoch }) => [host, role, epoch])).toEqual([[ANAS, 'mine', 4], [SERVER, 'next', 9]]);
  });

  test('who stays on the server has a leg there in the epoch of the term', () => {
    const { grant: _, ...rest } = atAnas;
    expect(seatsOf({ ...rest, mine: SERVER })).toEqual([{ host: SERVER, kind: 'central', role: 'mine', epoch: 4, grant: null }]);
  });

  test('who uses the server connects to nobody else, even if told to', () => {
    expect(seatsOf(atAnas, true, 30).map(({ host }) => host)).toEqual([SERVER]);
    expect(seatsOf(move(viaServer, seat(BENS), 'switch'), true, 20).map(({ host }) => host)).toEqual([SERVER]);
    expect(seatsOf(atAnas, true, 20).map(({ host }) => host), 'but to the own computer').toEqual([ANAS, SERVER]);
  });
});

describe('where the call is shown from', () => {
  test('a move is prepared before anything changes over', () => {
    expect(goalOf(move(viaServer, seat(ANAS), 'prepare'), 'none')).toBe(SERVER);
    expect([...audiences(move(viaServer, seat(ANAS), 'prepare'), 'none')]).toEqual([SERVER]);
  });

  test('while it changes over both hosts get everything', () => {
    const switching = move(viaServer, seat(ANAS), 'switch');
    expect(goalOf(switching, 'none')).toBe(ANAS);
    expect([...audiences(switching, 'none')]).toEqual([SERVER, ANAS]);
    expect(goalOf({ ...viaServer }, 'none'), 'a move that was given up').toBe(SERVER);
  });

  test('a host that may be gone is replaced by the standby, by whoever notices', () => {
    for (const alarm of ['suspect', 'silent'] as const) {
      expect(goalOf(atAnas, alarm)).toBe(SERVER);
      expect([...audiences(atAnas, alarm)]).toEqual([ANAS, SERVER]);
    }
    expect(goalOf(viaServer, 'silent'), 'where there is none there is nothing to do').toBe(SERVER);
  });

  test('a host that dies in the middle of a move is replaced by the standby, not by a host that is not ready', () => {
    expect(goalOf(move(atAnas, seat(BENS), 'switch'), 'silent')).toBe(SERVER);
  });
});

test('what is of an older term does not count', () => {
  expect(counts(null, viaServer)).toBe(true);
  expect(counts(viaServer, atAnas)).toBe(true);
  expect(counts(atAnas, viaServer)).toBe(false);
  expect(counts(atAnas, { ...atAnas, policy: 'auto' })).toBe(true);
});

describe('who carries the call instead', () => {
  test('the standby from which it is shown, until it is said to carry it', () => {
    expect(standInOf(atAnas, SERVER)?.host).toBe(SERVER);
    expect(standInOf(atAnas, ANAS)).toBeNull();
    expect(standInOf(atAnas, undefined)).toBeNull();
    expect(standInOf({ ...atAnas, mine: SERVER }, SERVER), 'who is served there anyway').toBeNull();
    expect(standInOf({ ...viaServer, standby: seat(BENS) }, SERVER)).toBeNull();
    expect(standInOf(null, SERVER)).toBeNull();
  });
});
