// Somebody in a call: what they do (by accessible names) and what they see and hear (by `window.baton.report()`).

import { until, watchFor } from './wait.mjs';
import { TooLate } from './witness.mjs';

export class Person {
  #page;
  #last = null;
  said = [];

  constructor(name, page) {
    this.name = name;
    this.#page = page;
  }

  click(button) {
    return this.#page.click(button);
  }

  /** Waits until a button can be pressed. */
  ready(button, ms) {
    return until(`${this.name}: the button ${button}`, ms, () => this.#page.has(button));
  }

  resize(width, height) {
    return this.#page.resize(width, height);
  }

  evaluate(script, argument) {
    return this.#page.evaluate(script, argument);
  }

  reload() {
    return this.#page.reload();
  }

  /** What can be read on the page. */
  shows() {
    return this.evaluate(() => document.body.innerText);
  }

  /** Waits until the page has left the green room: it has the devices and begins to join. */
  isEntering(ms) {
    return until(`${this.name}: has devices and begins to join`, ms, () => this.evaluate(() => window.baton !== undefined), () => this.shows());
  }

  /** What the page says about the call right now. */
  async report() {
    this.#last = await this.#page.evaluate(() => window.baton?.report() ?? null);
    return this.#last;
  }

  /** Waits until the report is as wanted, and returns it. */
  until(what, ms, isSo) {
    const look = async () => {
      const report = await this.report();
      return report && isSo(report) ? report : null;
    };
    return until(`${this.name}: ${what}`, ms, look, () => JSON.stringify(this.#last, null, 1));
  }

  /** Their number in the room, once they are in. */
  async number() {
    const { me } = await this.until('is in the room', 5000, (report) => report.me > 0 && report.host !== null);
    return me;
  }

  /** Waits for a picture of somebody (`source` camera or screen) that moves at `fps` or more. */
  async sees(other, { source = 'camera', fps = 20, within = 2000, width = 1 } = {}) {
    const me = await other.number();
    const isShown = (video) => video.participant === me && video.source === source && video.framesDecoded > 0 && video.width >= width;
    return this.until(`sees ${other.name}'s ${source} at ${fps} fps`, within, (report) => report.videos.some((video) => isShown(video) && video.fps >= fps));
  }

  /** Waits until somebody's voice arrives. */
  async hears(other, { within = 2000 } = {}) {
    const me = await other.number();
    return this.until(`hears ${other.name}`, within, (report) => report.audios.some((audio) => audio.participant === me && audio.level > 0));
  }

  screenshot(path) {
    return this.#page.screenshot(path);
  }

  close() {
    return this.#page.close();
  }

  get lastReport() {
    return this.#last;
  }
}

/** What changed for the worse between two reports, per picture and voice that is in both. */
export function changes(before, after) {
  const same = (one) => (other) => other.track === one.track;
  const videos = before.videos.flatMap((then) => {
    const now = after.videos.find(same(then));
    if (!now || now.framesDecoded < then.framesDecoded) return [];
    return [{
      participant: then.participant,
      source: then.source,
      frames: now.framesDecoded - then.framesDecoded,
      freezes: now.freezeCount - then.freezeCount,
      frozenMs: Math.round((now.totalFreezesDuration - then.totalFreezesDuration) * 1000),
      longestGapMs: now.longestGapMs,
    }];
  });
  const audios = before.audios.flatMap((then) => {
    const now = after.audios.find((audio) => audio.slot === then.slot);
    if (!now) return [];
    const samples = now.totalSamples - then.totalSamples;
    return [{ slot: then.slot, packets: now.packetsReceived - then.packetsReceived, concealed: samples > 0 ? (now.concealedSamples - then.concealedSamples) / samples : 0 }];
  });
  return { videos, audios };
}

/**
 * Lets the call run and fails if anybody's picture froze or was slow meanwhile. `frozen`: milliseconds for which a picture may stand still in
 * all. Returns what each saw.
 */
export async function nobodyFreezes(people, ms, { fps = 20, frozen = 0, during = async () => {} } = {}) {
  const before = await Promise.all(people.map((person) => person.report()));
  const started = Date.now();
  await during();
  await watchFor(Math.max(0, ms - (Date.now() - started)));
  const seconds = (Date.now() - started) / 1000;
  const seen = await Promise.all(people.map(async (person, index) => ({ name: person.name, ...changes(before[index], await person.report()) })));
  const complaints = seen.flatMap(({ name, videos }) => videos.flatMap((video) => [
    ...(video.freezes > 0 && video.frozenMs > frozen ? [`${name} saw ${video.freezes} freezes (${video.frozenMs} ms) of p${video.participant}'s ${video.source}`] : []),
    ...(video.source === 'camera' && video.frames / seconds < fps ? [`${name} saw p${video.participant} at ${(video.frames / seconds).toFixed(1)} fps`] : []),
  ]));
  const blind = seen.filter(({ videos }) => videos.length === 0).map(({ name }) => `${name} saw nobody`);
  if (blind.length > 0) throw new Error([...complaints, ...blind, JSON.stringify(seen)].join('\n'));
  if (complaints.length > 0) throw new TooLate([...complaints, JSON.stringify(seen)].join('\n'), { from: started, to: Date.now() });
  return seen;
}
