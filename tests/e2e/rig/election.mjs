// A call that moves by itself: when a computer qualifies, how soon it carries the call, and what the server forwards then.

import assert from 'node:assert/strict';

import { Computer } from './computer.mjs';
import { until, watchFor } from './wait.mjs';

/** Nobody waits for a minute here, and all that is said of how long somebody will stay is guessed from that; everybody shares two processors. */
export const RULES = 'seasoned=5 margin=-40 cpu_free=0 jitter=200';
/** Until the computer qualifies for good, and from then to the new term, in milliseconds; what the server may still forward then, in percent. */
const QUALIFIED = 60_000;
const PROMOTED = 30_000;
const LEFT = 15;
/** A stretch of the call over which bytes are counted. */
const COUNTED = 8000;

const forwarded = async (baton) => (await baton.metrics()).get('baton_rtp_bytes_total{direction="out"}');

/** Bytes that the server forwards in a second. */
async function rate(baton) {
  const [before, from] = [await forwarded(baton), Date.now()];
  await watchFor(COUNTED);
  return ((await forwarded(baton)) - before) * 1000 / (Date.now() - from);
}

/** Since when the offered computer has been fit without a break, and what stood against it before. */
class Qualifying {
  #person;
  #began = Date.now();
  #since = null;
  #history = [];

  constructor(person) {
    this.#person = person;
  }

  async look() {
    // Once it carries the call there is nothing to qualify for.
    const seen = await this.#person.evaluate(() => {
      const { term, candidates } = window.baton.call.state.hosting;
      return candidates.find(({ seat }) => seat.host !== term.host) ?? null;
    });
    if (seen === null) return;
    this.#since = seen.fit ? (this.#since ?? Date.now()) : null;
    const why = seen.fit ? 'fit' : seen.why_not.join(', ');
    if (this.#history.at(-1)?.why !== why) this.#history.push({ after: Date.now() - this.#began, why });
  }

  get waited() {
    return this.#since === null ? Infinity : Date.now() - this.#since;
  }

  get told() {
    return this.#history.map(({ after, why }) => `${after} ms: ${why}`).join('; ');
  }
}

/** Dan comes with a computer that may carry the call of `people`, and it does. `invite` lets him in; `space` is his network namespace. */
export async function movesByItself(lab, baton, people, invite, space = null) {
  const [ana] = people;
  const { host: server, epoch } = await ana.report();
  const computer = Computer.join(lab, invite, 'Dan', { space });
  await ana.until('is shown Dan', 15_000, ({ videos }) => videos.filter(({ framesDecoded }) => framesDecoded > 0).length === people.length);
  const before = await rate(baton);
  const qualifies = new Qualifying(ana);
  const isMoved = ({ host, moving, epoch: now }) => host.kind === 'participant' && moving === null && now > epoch;
  const reports = await until("everybody is at Dan's computer", QUALIFIED + PROMOTED, async () => {
    await qualifies.look();
    const all = await Promise.all(people.map((person) => person.report()));
    return all.every(isMoved) && all;
  }, () => qualifies.told);
  lab.figure(`promoted ${qualifies.waited} ms after qualifying: ${qualifies.told}; ${JSON.stringify(computer.last('probed'))}`);
  assert.ok(qualifies.waited <= PROMOTED, `promoted ${qualifies.waited} ms after qualifying: ${qualifies.told}`);
  for (const report of reports) {
    assert.equal(report.host.id, reports[0].host.id);
    assert.equal(report.epoch, reports[0].epoch);
    assert.equal(report.standby?.id, server.id);
  }
  await Promise.all(people.map((person, index) => person.sees(people[(index + 1) % people.length], { within: 10_000, fps: 5 })));
  await watchFor(3000); // the legs to the server fall silent
  const after = await rate(baton);
  const left = 100 * after / before;
  lab.figure(`the server forwarded ${Math.round(before / 125)} kb/s, and ${Math.round(after / 125)} kb/s now: ${left.toFixed(1)} %`);
  assert.ok(left < LEFT, `the server still forwards ${left.toFixed(1)} %`);
  assert.equal((await ana.report()).host.id, reports[0].host.id, 'it stays there');
}
