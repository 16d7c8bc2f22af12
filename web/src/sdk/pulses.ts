// Watches the hearts of hosts over their pulse channels. Owns: when somebody is told. Does not own: where it runs (a worker, see `Heartbeat`).

import { parsePathMessage } from './parse.ts';
import type { LegId, PathFromHost } from './protocol.gen.ts';
import { type Finding, Pulse } from './pulse.ts';

export type Order =
  | { readonly what: 'watch'; readonly leg: LegId; readonly channel: RTCDataChannel }
  | { readonly what: 'suspend'; readonly leg: LegId; readonly isSuspended: boolean }
  | { readonly what: 'forget'; readonly leg: LegId }
  | { readonly what: 'hurry'; readonly isHurried: boolean };

/** What is news about a host, or, while hurried, that some time has passed. */
export type News = { readonly leg: LegId; readonly finding: Finding } | 'tick';

const LOOK_EVERY_MS = 10;
const TICK_MS = 30;

/** Carries out orders and tells news. No time is spent while no heart beats and nobody is in a hurry. */
export function watchPulses(tell: (news: News) => void): (order: Order) => void {
  const watched = new Map<LegId, { readonly pulse: Pulse; told: Finding }>();
  let isHurried = false;
  let ticked = 0;
  let timer: ReturnType<typeof setInterval> | undefined;

  const look = (): void => {
    const now = performance.now();
    for (const [leg, one] of watched) {
      const finding = one.pulse.look(now);
      if (finding.alarm === one.told.alarm && finding.isLost === one.told.isLost) continue;
      one.told = finding;
      tell({ leg, finding });
    }
    if (!isHurried || now - ticked < TICK_MS) return;
    ticked = now;
    tell('tick');
  };
  const rest = (): void => {
    const isNeeded = isHurried || [...watched.values()].some(({ pulse }) => pulse.isBeating);
    if (isNeeded) timer ??= setInterval(look, LOOK_EVERY_MS);
    else {
      clearInterval(timer);
      timer = undefined;
    }
  };

  return (order) => {
    switch (order.what) {
      case 'watch': {
        const pulse = new Pulse();
        watched.set(order.leg, { pulse, told: pulse.look(0) });
        order.channel.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
          const beat = typeof data === 'string' ? beatOf(data) : null;
          if (!beat) return;
          pulse.beat(performance.now(), beat.deaf_ms);
          rest();
        });
        break;
      }
      case 'suspend':
        watched.get(order.leg)?.pulse.suspend(order.isSuspended, performance.now());
        break;
      case 'forget':
        watched.delete(order.leg);
        break;
      case 'hurry':
        isHurried = order.isHurried;
        break;
      default:
        order satisfies never;
    }
    rest();
  };
}

function beatOf(data: string): Extract<PathFromHost, { type: 'pulse' }> | null {
  try {
    const message = parsePathMessage(data);
    return message.type === 'pulse' ? message : null;
  } catch {
    return null;
  }
}
