import { describe, expect, test } from 'vitest';
import { backoff } from './backoff.ts';
import { type Condition, LOST_MS, QUIET_MS, RESTART_MS, SHAKY_MS, connectTimeout, status, step } from './ladder.ts';

const connected: Condition = { at: 'connected' };

describe('the ladder', () => {
  test('a short loss of ICE is waited out', () => {
    const shaky = step(connected, 'disconnected', 1000, 0);
    expect(shaky.measure).toBe('none');
    expect(step(shaky.condition, 'tick', 1000 + SHAKY_MS - 1, 0).measure).toBe('none');
    expect(step(shaky.condition, 'connected', 1500, 0)).toEqual({ condition: connected, measure: 'none' });
  });

  test('a longer loss restarts ICE once, and then replaces the leg', () => {
    const shaky = step(connected, 'disconnected', 1000, 0).condition;
    const restart = step(shaky, 'tick', 1000 + SHAKY_MS, 0);
    expect(restart.measure).toBe('restart_ice');
    expect(step(restart.condition, 'tick', 1001 + SHAKY_MS, 0).measure).toBe('none');
    expect(step(restart.condition, 'disconnected', 1002 + SHAKY_MS, 0).measure).toBe('none');
    expect(step(restart.condition, 'tick', 1000 + SHAKY_MS + RESTART_MS, 0)).toEqual({ condition: { at: 'dead' }, measure: 'replace' });
  });

  test('another network restarts ICE at once', () => {
    expect(step(connected, 'network_changed', 5, 0)).toEqual({ condition: { at: 'restarting', since: 5 }, measure: 'restart_ice' });
  });

  test('a restart that nothing came of is made again, for as long as restarts get', () => {
    const restarting = step(connected, 'network_changed', 5, 0).condition;
    const again = step(restarting, 'still_silent', 500, 0);
    expect(again).toEqual({ condition: restarting, measure: 'restart_ice' });
    expect(step(again.condition, 'tick', 5 + RESTART_MS, 0).measure).toBe('replace');
    expect(step(connected, 'still_silent', 500, 0)).toEqual({ condition: connected, measure: 'none' });
  });

  test.each(['failed', 'closed'] as const)('a leg that is %s is replaced exactly once', (event) => {
    const dead = step(connected, event, 5, 0);
    expect(dead.measure).toBe('replace');
    expect(step(dead.condition, event, 6, 0).measure).toBe('none');
    expect(step(dead.condition, 'connected', 7, 0).condition).toEqual({ at: 'dead' });
  });

  test('each try to connect gets more time than the one before, up to a limit', () => {
    const since = { at: 'connecting', since: 0 } as const;
    expect(step(since, 'tick', connectTimeout(0), 0).measure).toBe('replace');
    expect(step(since, 'tick', connectTimeout(0), 1).measure).toBe('none');
    expect(connectTimeout(50)).toBe(connectTimeout(9));
  });
});

test('short trouble is kept from people, long trouble is not', () => {
  expect(status(false, null, 0)).toBe('joining');
  expect(status(true, 100, 100 + QUIET_MS - 1)).toBe('connected');
  expect(status(true, 100, 100 + QUIET_MS)).toBe('reconnecting');
  expect(status(true, 100, 100 + LOST_MS)).toBe('lost');
});

test('the first retry is at once and no wait is longer than some seconds', () => {
  expect(backoff(0, 0.9)).toBe(0);
  for (let attempt = 1; attempt < 40; attempt++) {
    expect(backoff(attempt, 0)).toBeGreaterThanOrEqual(backoff(attempt - 1, 0));
    expect(backoff(attempt, 0.99)).toBeLessThan(5000);
  }
});
