// The reconnect ladder. Owns: what a leg's troubles lead to and when. Does not own: sockets, peer connections, clocks.
// Order of measures: wait, restart ICE, replace the leg. Nothing here ever gives up: leaving is the person's decision.

/** How a leg is. Times are milliseconds of one clock. */
export type Condition =
  | { readonly at: 'connecting'; readonly since: number; readonly mostMs?: number }
  | { readonly at: 'connected' }
  | { readonly at: 'shaky'; readonly since: number }
  | { readonly at: 'restarting'; readonly since: number }
  | { readonly at: 'dead' };

export type LegEvent = 'connected' | 'disconnected' | 'failed' | 'closed' | 'network_changed' | 'still_silent' | 'tick';

/** What is to be done about it. */
export type Measure = 'none' | 'restart_ice' | 'replace';

export interface Step {
  readonly condition: Condition;
  readonly measure: Measure;
}

/** ICE often comes back by itself within this time. */
export const SHAKY_MS = 2000;
/** Restarts that have not helped by now will not. */
export const RESTART_MS = 8000;
/** Nothing heard for so long after the answer to a restart: it began before the browser knew its new address, and is made again. */
export const UNHEARD_MS = 400;
const CONNECT_MS = 4000;
const CONNECT_MOST_MS = 16_000;

/** How long try number `attempt` may take to connect: longer each time, for lines that are just slow. */
export function connectTimeout(attempt: number): number {
  return Math.min(CONNECT_MOST_MS, CONNECT_MS * 2 ** Math.min(attempt, 4));
}

/** The next condition of a leg. `attempt` counts the legs replaced since one was last connected. */
export function step(condition: Condition, event: LegEvent, now: number, attempt: number): Step {
  const stay: Step = { condition, measure: 'none' };
  if (condition.at === 'dead') return stay;
  switch (event) {
    case 'connected':
      return { condition: { at: 'connected' }, measure: 'none' };
    case 'failed':
    case 'closed':
      return { condition: { at: 'dead' }, measure: 'replace' };
    case 'disconnected':
      return condition.at === 'connected' ? { condition: { at: 'shaky', since: now }, measure: 'none' } : stay;
    case 'network_changed':
      if (condition.at === 'connecting' || condition.at === 'restarting') return stay;
      return { condition: { at: 'restarting', since: now }, measure: 'restart_ice' };
    case 'still_silent':
      return condition.at === 'restarting' ? { condition, measure: 'restart_ice' } : stay;
    case 'tick':
      break;
    default:
      return event satisfies never;
  }
  if (condition.at === 'shaky' && now - condition.since >= SHAKY_MS) {
    return { condition: { at: 'restarting', since: now }, measure: 'restart_ice' };
  }
  const limit = condition.at === 'restarting' ? RESTART_MS : condition.at === 'connecting' ? (condition.mostMs ?? connectTimeout(attempt)) : Infinity;
  if ('since' in condition && now - condition.since >= limit) return { condition: { at: 'dead' }, measure: 'replace' };
  return stay;
}

/** What people are told. */
export type Status = 'joining' | 'connected' | 'reconnecting' | 'lost';

/** Trouble shorter than this is not worth a word. */
export const QUIET_MS = 3000;
/** After this the page says so in large letters. */
export const LOST_MS = 30_000;

/** `troubleSince` is when signaling or the leg was lost, null while both are well. */
export function status(wasConnected: boolean, troubleSince: number | null, now: number): Status {
  if (!wasConnected) return 'joining';
  const trouble = troubleSince === null ? 0 : now - troubleSince;
  return trouble >= LOST_MS ? 'lost' : trouble >= QUIET_MS ? 'reconnecting' : 'connected';
}
