// The list of stories. A story is a sentence about people and a function that makes it happen.

export const stories = [];

/**
 * Adds a story. `needsLine`: it runs in a network namespace of its own, where packets can be lost. `needsGuest`: beside it lives
 * somebody at the other end of a cable (browser `guest chromium`). `homes`: who lives behind a router of which kind (`homes.mjs`), on
 * lines of `delay` milliseconds each way; `driver`: at whose home the story takes place. `limit`: milliseconds that it may take.
 */
export function story(name, tell, { needsLine = false, needsGuest = false, homes = null, delay = 0, driver = null, limit = 240_000 } = {}) {
  stories.push({ name, tell, needsLine: needsLine || needsGuest || homes !== null, needsGuest, homes, delay, driver, limit });
}

/** Throw this where a story cannot be told on this machine; it is reported, never silent. */
export class Skip extends Error {
  name = 'Skip';
}

/** How long a call is watched for freezes. */
export const WATCH_MS = process.env.BATON_LONG === '1' ? 60_000 : 20_000;
