// How long to wait before the next try. Pure.

const STEPS_MS = [0, 300, 1000, 2000, 4000] as const;

/** Wait before try number `attempt` (the first is 0), in milliseconds. `chance` in [0, 1) spreads many pages over a fifth of the wait. */
export function backoff(attempt: number, chance: number): number {
  const step = STEPS_MS[Math.min(attempt, STEPS_MS.length - 1)] ?? 0;
  return Math.round(step * (0.9 + 0.2 * chance));
}
