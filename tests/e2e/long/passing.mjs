// The baton is passed many times, on long lines behind NATs: what everybody missed each time. `make lab` makes a table of it.

import { mkdirSync, writeFileSync } from 'node:fs';

import { Baton, repository } from '../rig/baton.mjs';
import { chromiumIn } from '../rig/browsers.mjs';
import { Computer } from '../rig/computer.mjs';
import { RULES, movesByItself } from '../rig/election.mjs';
import { NET, homeOf } from '../rig/homes.mjs';
import { Cable } from '../rig/line.mjs';
import { story } from '../rig/story.mjs';
import { until, watchFor } from '../rig/wait.mjs';

const SECRET = 'a secret of the lab, which is long enough';
const SERVER = { BATON_HTTP: '0.0.0.0:0', BATON_MEDIA: '0.0.0.0:0', BATON_SECRET: SECRET, BATON_HOSTING: 'central' };
const VIEW = { viewport: { width: 640, height: 480 } };
/** One processor per two people, each of whom encodes and decodes. */
const FPS = 8;
/** A stretch of time without a change to compare with, and for what a change leaves behind. */
const CALM_MS = 3500;
const TIMES = Number(process.env.BATON_TIMES ?? 20);
/** Everybody lives at home, 20 ms from the middle: a round trip between two of them, or to the server through it, takes 40 to 80 ms. */
const AT_HOME = {
  homes: { Eve: 'restricted', Ana: 'restricted', Ben: 'cone', Dan: 'cone' }, delay: 20, driver: 'Eve', limit: (60 + TIMES * 45) * 1000,
};
const BROWSERS = { Ana: 'Chromium', Ben: 'Chromium', Eve: 'Firefox' };

/** The call of everybody, through the server. */
class Call {
  #lab;
  #used = new Set();
  people = [];
  rows = [];

  static async begin(lab, more = {}) {
    const call = new Call();
    call.#lab = lab;
    const baton = await lab.baton([], { ...SERVER, ...more }, process.env.BATON_MIDDLE);
    call.baton = baton;
    const room = lab.room();
    const url = `http://${NET.v4}:${baton.port('http')}`;
    const words = (name) => new URLSearchParams({ name, token: Baton.invitation(SECRET, room, ['--moderator']), quality: 'low' });
    call.invite = `${url}/r/${room}?${new URLSearchParams({ token: Baton.invitation(SECRET, room, ['--moderator']) })}`;
    for (const name of ['Ana', 'Ben']) {
      lab.browser(name, () => chromiumIn(homeOf(name), url));
      call.people.push(await lab.open(name, name, `${url}/r/${room}?${words(name)}&join`, VIEW));
    }
    // A page gets a camera from its own computer, and no other way without a certificate.
    const door = await lab.door(baton.port('http'), NET.v4);
    call.people.push(await lab.open('Eve', 'firefox', `${door.url}/r/${room}?${words('Eve')}&join`, VIEW));
    await call.meets(20_000);
    call.server = (await call.people[0].report()).host.id;
    return call;
  }

  meets(within) {
    return Promise.all(this.people.flatMap((one) => this.people.filter((other) => other !== one).map((other) => one.sees(other, { within, fps: FPS }))));
  }

  /** Dan offers his computer, each time another process. */
  async offer() {
    const computer = Computer.offer(this.#lab, this.invite, 'Dan', { space: homeOf('Dan') });
    const look = async () => {
      const hosting = await this.people[0].evaluate(() => window.baton.call.state.hosting);
      return hosting?.candidates.find(({ seat }) => !this.#used.has(seat.host))?.seat.host;
    };
    this.computer = await until("Dan's computer is offered", 15_000, look);
    this.#used.add(this.computer);
    return computer;
  }

  /** Passes the baton, and waits until everybody has changed over and what they missed is known. */
  async pass(host, what) {
    const before = await Promise.all(this.people.map((person) => person.report()));
    await this.people[0].evaluate((to) => window.baton.call.passBaton(to), host);
    await this.changed(before, host, what);
  }

  async changed(before, host, what) {
    for (const [index, person] of this.people.entries()) {
      // Whoever leaves a dead host does so in its term; that of the next one begins later.
      const last = JSON.stringify(before[index].moves.at(-1));
      const isDone = ({ host: there, moving, epoch, moves }) => there.id === host && moving === null && epoch > before[index].epoch &&
        JSON.stringify(moves.at(-1)) !== last && moves.at(-1).tookMs !== null;
      const { moves } = await person.until(`is at host ${host}`, 30_000, isDone);
      if (what !== null) this.rows.push({ what, who: BROWSERS[person.name], ...moves.at(-1) });
    }
  }

  /** To Dan's computer, with a leg to the server for everybody. */
  async settle() {
    await this.pass(this.computer, null);
    const isReady = ({ legs }) => legs.length === 2 && legs.every(({ state }) => state === 'connected');
    await Promise.all(this.people.map((person) => person.until('has a leg to the server', 15_000, isReady)));
    await this.meets(10_000);
    await watchFor(CALM_MS);
  }

  /** Once, so that a run that is cut off has what it measured so far. */
  keep(name) {
    const folder = `${repository}tests/out/passing`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/${name}.json`, JSON.stringify(this.rows));
  }
}

story('the baton is passed there and back, many times', async (lab) => {
  const call = await Call.begin(lab);
  await call.offer();
  await watchFor(CALM_MS);
  for (let time = 0; time < TIMES; time += 1) {
    await call.pass(call.computer, 'to a computer');
    await watchFor(CALM_MS);
    await call.pass(call.server, 'back to the server');
    await watchFor(CALM_MS);
    call.keep('planned');
  }
}, AT_HOME);

story('from home, a call moves by itself to a computer that is fit', async (lab) => {
  const call = await Call.begin(lab, { BATON_HOSTING: 'auto', BATON_HOSTING_RULES: RULES, BATON_ADMIN: '0.0.0.0:0' });
  const server = { metrics: () => call.baton.metrics(NET.v4) };
  await movesByItself(lab, server, call.people, call.invite, homeOf('Dan'));
}, AT_HOME);

const FAULTS = {
  'kill -9': (computer) => computer.stop('SIGKILL'),
  SIGSTOP: (computer) => computer.signal('SIGSTOP'),
  'network lost': (_, cable) => cable.cut({ up: true, down: true }),
  'uplink lost': (_, cable) => cable.cut({ up: true }),
  'downlink lost': (_, cable) => cable.cut({ down: true }),
};

for (const [what, happen] of Object.entries(FAULTS)) {
  story(`the computer that carries the call fails, many times: ${what}`, async (lab) => {
    const call = await Call.begin(lab);
    const cable = new Cable(homeOf('Dan'), 'line');
    for (let time = 0; time < TIMES; time += 1) {
      const computer = await call.offer();
      await call.settle();
      const before = await Promise.all(call.people.map((person) => person.report()));
      await happen(computer, cable);
      await call.changed(before, call.server, what);
      await computer.stop('SIGKILL');
      cable.mend();
      await call.meets(10_000);
      call.keep(what.replaceAll(/\W+/g, '-'));
    }
  }, AT_HOME);
}
