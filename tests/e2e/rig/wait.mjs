// Waiting with a deadline, and time passing on purpose.

import { setTimeout as pause } from 'node:timers/promises';

import { TooLate } from './witness.mjs';

const LOOK_EVERY_MS = 100;

/** Calls `look` until it returns something truthy. After `ms` fails, saying `what` was awaited and the last value of `state`. */
export async function until(what, ms, look, state = () => '') {
  const started = Date.now();
  let trouble = '';
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      trouble = '';
    } catch (error) {
      trouble = ` (${error.message})`;
    }
    const now = Date.now();
    if (now - started > ms) throw new TooLate(`${what}: not within ${ms} ms${trouble}\n${await state()}`, { from: started, to: now });
    await pause(LOOK_EVERY_MS);
  }
}

/** Lets a call run for a while: the time itself is what is tested. */
export const watchFor = pause;
