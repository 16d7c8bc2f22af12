// Keeps account of what each change of hosts cost. Owns: the readings of sound that was made up. Does not own: the time line (`moves.ts`).

import type { Leg } from './leg.ts';
import { AFTER_MS, BEFORE_MS, type MoveCost, TimeLine } from './moves.ts';
import type { Epoch } from './protocol.gen.ts';

const MOST_KEPT = 50;
const SAMPLES_PER_MS = 48;
const READ_EVERY_MS = 1000;

/** A change that is not over. */
export interface Account {
  /** Voices come from the new leg from here on. */
  hear(): void;
  /** It is over: everything comes from the new leg, or it was undone. */
  close(isDone: boolean): void;
}

export class Ledger {
  readonly line = new TimeLine();
  readonly costs: MoveCost[] = [];
  #readings: { leg: Leg; at: number; concealed: Promise<number> }[] = [];

  /** Reads a leg now and then, because a fault is noticed after it has begun. */
  watch(leg: Leg, now: number): void {
    const last = this.#readings.at(-1);
    if (last?.leg === leg && now - last.at < READ_EVERY_MS) return;
    this.#readings = [...this.#readings.slice(-2), { leg, at: now, concealed: concealed(leg) }];
  }

  open(kind: MoveCost['kind'], epoch: Epoch, from: Leg, to: Leg): Account {
    const began = performance.now();
    const before = this.#readings.findLast((reading) => reading.leg === from && reading.at < began - BEFORE_MS)?.concealed ?? concealed(from);
    let atSwitch: Promise<readonly [number, number]> | null = null;
    let isOpen = true;
    const hear = (): void => { atSwitch ??= Promise.all([concealed(from), concealed(to)]); };
    const close = (isDone: boolean): void => {
      if (!isOpen) return;
      isOpen = false;
      const ended = performance.now();
      setTimeout(() => void this.#enter(kind, epoch, { began, ended, isDone }, before, isDone ? atSwitch : null, to), AFTER_MS);
    };
    return { hear, close };
  }

  async #enter(
    kind: MoveCost['kind'], epoch: Epoch, { began, ended, isDone }: { began: number; ended: number; isDone: boolean },
    before: Promise<number>, atSwitch: Promise<readonly [number, number]> | null, to: Leg,
  ): Promise<void> {
    const gaps = this.line.cost(began - BEFORE_MS, ended + AFTER_MS);
    const [old, fresh] = (await atSwitch) ?? [Number.NaN, Number.NaN];
    const samples = old - (await before) + ((await concealed(to)) - fresh);
    const concealedMs = Number.isFinite(samples) ? Math.round(samples / SAMPLES_PER_MS) : null;
    this.costs.push({ epoch, kind, tookMs: isDone ? Math.round(ended - began) : null, ...gaps, concealedMs });
    this.costs.splice(0, this.costs.length - MOST_KEPT);
  }
}

/** Samples that a leg's voices had to be made up for, silence apart; NaN where it is closed. */
async function concealed(leg: Leg): Promise<number> {
  const reports = await Promise.all(leg.audioSlots.map(({ transceiver }) => transceiver.receiver.getStats())).catch(() => null);
  if (!reports) return Number.NaN;
  const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
  const entries = reports.flatMap((report) => [...report.values()] as Record<string, unknown>[]).filter(({ type }) => type === 'inbound-rtp');
  return entries.reduce((sum, entry) => sum + number(entry['concealedSamples']) - number(entry['silentConcealedSamples']), 0);
}
