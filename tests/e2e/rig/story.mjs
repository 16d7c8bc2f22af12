// The list of stories. A story is a sentence about people and a function that makes it happen.

import { cpus } from 'node:os';

export const stories = [];

/**
 * Adds a story. `needsLine`: it runs in a network namespace of its own, where packets can be lost. `needsCores`: browsers that encode
 * and decode for so many people starve each other on fewer processors, and their pauses would be taken for the call's.
 */
export function story(name, tell, { needsLine = false, needsCores = 1 } = {}) {
  const told = async (lab) => {
    if (cpus().length < needsCores) throw new Skip(`needs ${needsCores} processors, this computer has ${cpus().length}`);
    await tell(lab);
  };
  stories.push({ name, tell: told, needsLine });
}

/** Throw this where a story cannot be told on this machine; it is reported, never silent. */
export class Skip extends Error {
  name = 'Skip';
}

/** How long a call is watched for freezes. */
export const WATCH_MS = process.env.BATON_LONG === '1' ? 60_000 : 20_000;
