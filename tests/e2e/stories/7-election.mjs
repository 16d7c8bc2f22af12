// A call that moves by itself to the computer that is fit for it, and back when it is not.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';

import { Baton } from '../rig/baton.mjs';
import { Computer } from '../rig/computer.mjs';
import { RULES, movesByItself } from '../rig/election.mjs';
import { guest } from '../rig/line.mjs';
import { Skip, story } from '../rig/story.mjs';
import { until, watchFor } from '../rig/wait.mjs';

const candidate = (person) => person.evaluate(() => window.baton.call.state.hosting?.candidates[0] ?? null);

story('a call moves by itself to the computer that is fit, and the server forwards next to nothing', async (lab) => {
  const baton = await lab.baton([], { BATON_HOSTING_RULES: RULES });
  const room = lab.room();
  const people = [];
  for (const [name, browser] of [['Ana', 'chromium'], ['Ben', 'firefox']]) {
    people.push(await lab.join(name, browser, baton.url, room, { small: true }));
  }
  await Promise.all(people.map((person, index) => person.sees(people[(index + 1) % people.length], { within: 10_000, fps: 5 })));
  await movesByItself(lab, baton, people, `${baton.url}/r/${room}`);
});

/** Bits per second of the computer's line towards the others, before and after it breaks in; and the queue in front of it, in milliseconds. */
const WIDE = 60_000_000;
const NARROW = 1_200_000;
const QUEUE = 600;

/** How much the computer can send. */
class Uplink {
  static #tc(...words) {
    return execFileSync('ip', ['netns', 'exec', process.env.BATON_GUEST, 'tc', ...words], { encoding: 'utf8' });
  }

  constructor(bps) {
    try {
      Uplink.#tc('qdisc', 'add', 'dev', 'away', 'root', ...Uplink.#words(bps));
    } catch (error) {
      throw new Skip(`a narrow line needs tc and its tbf: ${error.message}`);
    }
    this.bps = bps;
  }

  static #words(bps) {
    return ['tbf', 'rate', `${bps}bit`, 'burst', '20000', 'latency', `${QUEUE}ms`];
  }

  narrow(bps) {
    Uplink.#tc('qdisc', 'replace', 'dev', 'away', 'root', ...Uplink.#words(bps));
    this.bps = bps;
  }

  /** Milliseconds that a packet waits that is sent now. */
  get queue() {
    const backlog = JSON.parse(Uplink.#tc('-j', '-s', 'qdisc', 'show', 'dev', 'away')).find(({ kind }) => kind === 'tbf').backlog;
    return (backlog * 8000) / this.bps;
  }
}

/** Looks at the queue until `isOver`; gives the longest time for which it stood above `most` milliseconds, and the longest queue. */
async function watchQueue(uplink, most, isOver) {
  let [longest, worst, since] = [0, 0, null];
  while (!isOver()) {
    const { queue } = uplink;
    worst = Math.max(worst, queue);
    since = queue > most ? (since ?? Date.now()) : null;
    if (since !== null) longest = Math.max(longest, Date.now() - since);
    await watchFor(50);
  }
  return { longest, worst: Math.round(worst) };
}

story('a computer whose line breaks in hands the call back before anybody waits for long', async (lab) => {
  const secret = 'a secret of the stories, long enough';
  const every = '0.0.0.0:0';
  const baton = await lab.baton([], { BATON_HTTP: every, BATON_MEDIA: every, BATON_SECRET: secret, BATON_HOSTING_RULES: RULES, BATON_HOSTING: 'central' });
  const uplink = new Uplink(WIDE);
  const room = lab.room();
  const token = () => Baton.invitation(secret, room, ['--moderator']);
  const people = [];
  for (const [name, browser] of [['Ana', 'chromium'], ['Ben', 'chromium'], ['Cleo', 'chromium']]) {
    people.push(await lab.join(name, browser, baton.url, room, { small: true, query: { token: token() } }));
  }
  const [ana] = people;
  await Promise.all(people.map((person, index) => person.sees(people[(index + 1) % 3], { within: 10_000, fps: 5 })));
  const { host: server } = await ana.report();
  Computer.offer(lab, `http://${guest.home}:${baton.port('http')}/r/${room}?token=${token()}`, 'Dan', { space: process.env.BATON_GUEST });
  const offered = await until("Dan's computer is offered", 10_000, () => candidate(ana));
  await ana.evaluate((host) => window.baton.call.passBaton(host), offered.seat.host);
  const isThere = ({ host, moving, epoch }) => host.kind === 'participant' && moving === null && epoch > 1;
  await Promise.all(people.map((person) => person.until("is at Dan's computer", 20_000, isThere)));
  await Promise.all(people.map((person, index) => person.sees(people[(index + 1) % 3], { within: 10_000, fps: 5 })));
  await watchFor(8000); // estimates rise to what the call asks for
  uplink.narrow(NARROW);
  const from = Date.now();
  lab.note(`the line carries ${NARROW / 1000} kb/s now`);
  let isBack = false;
  const back = Promise.all(people.map((person) => person.until('is back at the server', 30_000, ({ host, moving }) => host.id === server.id && moving === null)));
  back.then(() => { isBack = true; }, () => { isBack = true; });
  const { longest, worst } = await watchQueue(uplink, 200, () => isBack);
  await back;
  lab.note(`handed back after ${Date.now() - from} ms; at most ${worst} ms of queue, more than 200 ms for ${longest} ms`);
  assert.ok(longest < 2000, `packets waited for more than 200 ms for ${longest} ms, ${worst} ms at most`);
  await Promise.all(people.map((person, index) => person.sees(people[(index + 1) % 3], { within: 10_000, fps: 5 })));
}, { needsGuest: true });
