import { describe, expect, test } from 'vitest';
import type { CallState, Grants, Hosting } from '../../sdk/index.ts';
import { carrierOf, choicesOf, mayReturn } from './carrier.ts';

const ana = { id: 1, name: 'Ana', tracks: [], connected: true };
const term = { epoch: 1, host: 9, kind: 'central', name: 'sfu' } as const;
const seat = { host: 7, kind: 'participant', name: "Ana's computer", owner: 1 } as const;
const candidate = { seat, fit: true, why_not: [] };
const hosting: Hosting = { term, mine: 9, policy: 'auto', candidates: [candidate] };
const grants = (more: Partial<Grants>): Grants => ({ publish: [], subscribe: true, chat: true, moderate: false, host: false, hidden: false, ...more });
const state = (change: Partial<Hosting>): Pick<CallState, 'host' | 'hosting' | 'standIn' | 'participants'> => {
  const now = { ...hosting, ...change };
  return { host: now.term, hosting: now, standIn: null, participants: [ana] };
};
const atAnas: Partial<Hosting> = { term: { epoch: 2, host: 7, kind: 'participant', name: "Ana's computer" }, owner: 1 };

describe('who carries the call', () => {
  test('the server, a person, or it is moving', () => {
    expect(carrierOf({ host: null, hosting: null, standIn: null, participants: [] })).toBeNull();
    expect(carrierOf(state({}))).toEqual({ is: 'server', name: 'sfu' });
    expect(carrierOf(state(atAnas))).toEqual({ is: 'computer', name: 'Ana', owner: 1 });
    expect(carrierOf({ ...state(atAnas), participants: [] }), 'whose owner is hidden').toEqual({ is: 'computer', name: "Ana's computer", owner: 1 });
    const moving = { epoch: 2, to: seat, phase: 'prepare' } as const;
    expect(carrierOf(state({ moving }))).toEqual({ is: 'moving', name: "Ana's computer", toServer: false });
  });
});

describe('who carries it after the host died and before signaling says so', () => {
  const server = { host: 9, kind: 'central', name: 'sfu' } as const;

  test('the standby from which it is shown, whatever was about to happen', () => {
    const moving = { epoch: 3, to: seat, phase: 'prepare' } as const;
    expect(carrierOf({ ...state({ ...atAnas, moving }), standIn: server })).toEqual({ is: 'server', name: 'sfu' });
    expect(carrierOf({ ...state({}), standIn: seat })).toEqual({ is: 'computer', name: 'Ana', owner: 1 });
  });
});

describe('what one may do about it', () => {
  const choose = (may: Grants, change: Partial<Hosting> = {}, me = 2): boolean | undefined =>
    choicesOf({ hosting: { ...hosting, ...change }, grants: may, me })[0]?.isPossible;

  test('moderators choose among all, owners their own', () => {
    expect(choose(grants({}))).toBe(false);
    expect(choose(grants({ moderate: true }))).toBe(true);
    expect(choose(grants({ host: true }))).toBe(false);
    expect(choose(grants({ host: true }), {}, 1)).toBe(true);
  });

  test('a computer that would not be chosen by itself may be chosen by hand', () => {
    const candidates = [{ seat, fit: false, why_not: ['it came a moment ago'] }];
    expect(choose(grants({ moderate: true }), { candidates })).toBe(true);
  });

  test('a computer that carries the call already or is about to is no choice', () => {
    const may = grants({ moderate: true });
    expect(choose(may, atAnas)).toBe(false);
    expect(choose(may, { moving: { epoch: 2, to: seat, phase: 'switch' } })).toBe(false);
  });

  test('back to the server only from somewhere else', () => {
    const may = grants({ moderate: true });
    expect(mayReturn({ hosting, grants: may, me: 2 })).toBe(false);
    expect(mayReturn({ hosting: { ...hosting, ...atAnas }, grants: may, me: 2 })).toBe(true);
    expect(mayReturn({ hosting: { ...hosting, ...atAnas }, grants: grants({}), me: 2 })).toBe(false);
  });
});
