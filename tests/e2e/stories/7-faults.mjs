// What can happen to a computer that carries the call, and to signaling meanwhile: nobody waits for long, and all is whole again.

import assert from 'node:assert/strict';

import { Baton } from '../rig/baton.mjs';
import { Computer } from '../rig/computer.mjs';
import { Cable, guest } from '../rig/line.mjs';
import { nobodyFreezes } from '../rig/person.mjs';
import { story } from '../rig/story.mjs';
import { until, watchFor } from '../rig/wait.mjs';
import { TooLate } from '../rig/witness.mjs';

const SECRET = 'a secret of the stories, long enough';
/** Longest time without a picture after a fault, on two processors that do everything. Milliseconds. */
const HOLE = 1000;
/** Long packets that a computer may send in three seconds when it is there again, to reach the server: one voice alone would be 150. */
const MOST_STRAY = 60;
const EVERY = '0.0.0.0:0';

const all = (people, within) => Promise.all(people.flatMap((person, index) => {
  const next = people[(index + 1) % people.length];
  return [person.sees(next, { within, fps: 10 }), person.hears(next, { within })];
}));

/** Two people, and the call on the computer of a third, which `space` may put at the other end of a cable. */
async function meet(lab, baton, host, { browsers = ['chromium', 'chromium'], space = null } = {}) {
  const room = lab.room();
  const token = () => Baton.invitation(SECRET, room, ['--moderator']);
  const people = [];
  for (const [index, name] of ['Ana', 'Ben'].entries()) {
    people.push(await lab.join(name, browsers[index], baton.url, room, { small: true, query: { token: token() } }));
  }
  await all(people, 10_000);
  const [ana] = people;
  const { host: server } = await ana.report();
  const computer = Computer.offer(lab, `http://${host}:${baton.port('http')}/r/${room}?token=${token()}`, 'Dan', { space });
  const look = () => ana.evaluate(() => window.baton.call.state.hosting?.candidates[0] ?? null);
  const offered = await until("Dan's computer is offered", 10_000, look);
  await ana.evaluate((to) => window.baton.call.passBaton(to), offered.seat.host);
  const isThere = ({ host, standby, moving, legs, moves }) =>
    host.kind === 'participant' && moving === null && standby?.id === server.id && moves.length > 0 &&
    legs.length === 2 && legs.every(({ state }) => state === 'connected');
  const reports = await Promise.all(people.map((person) => person.until("is at Dan's computer, with a leg to the server", 20_000, isThere)));
  await all(people, 5000);
  return { people, room, token, computer, server, epoch: reports[0].epoch };
}

/** Waits until the server has taken over for everybody; fails where anybody saw nothing for too long. */
async function takesOver(lab, { people, server, epoch }, from) {
  const isBack = ({ host, moves, epoch: now }) => host.id === server.id && now > epoch && moves.at(-1)?.kind === 'failover';
  for (const person of people) {
    const { moves } = await person.until('is at the server', 12_000, isBack);
    const { longestGapMs, baselineMs, concealedMs } = moves.at(-1);
    const seen = `${person.name}: ${longestGapMs} ms without a picture (${baselineMs} ms before), ${concealedMs} ms of sound made up`;
    lab.figure(seen);
    if (!(longestGapMs < HOLE)) throw new TooLate(seen, { from, to: from + 3000 });
  }
  await all(people, 5000);
}

/** The call of `meet` at the other end of a cable. */
async function meetByCable(lab) {
  const baton = await lab.baton([], { BATON_HTTP: EVERY, BATON_MEDIA: EVERY, BATON_SECRET: SECRET, BATON_HOSTING: 'central' });
  const cable = new Cable();
  const met = await meet(lab, baton, guest.home, { space: process.env.BATON_GUEST });
  await watchFor(2500); // a stretch of time to compare with
  return { baton, cable, ...met };
}

/** The computer is there again, and believes for a moment that it carries the call. */
async function servesNobody(lab, { people, server }, cable, again) {
  const before = await Promise.all(people.map((person) => person.report()));
  const sent = cable.sent;
  again();
  lab.note('it is there again');
  await watchFor(3000); // for everything that it may still have to send
  lab.figure(`it sent ${cable.sent - sent} long packets when it was there again`);
  assert.ok(cable.sent - sent < MOST_STRAY, `the computer sent ${cable.sent - sent} long packets when it was there again`);
  for (const [index, person] of people.entries()) {
    const { host, epoch, legs } = await person.report();
    assert.deepEqual([host.id, epoch], [server.id, before[index].epoch]);
    assert.deepEqual(legs.map(({ host }) => host), [server.id]);
  }
}

story('the computer that carries the call stands still: the server takes over, and it serves nobody when it goes on', async (lab) => {
  const { cable, computer, ...met } = await meetByCable(lab);
  const from = Date.now();
  computer.signal('SIGSTOP');
  lab.note("Dan's computer stands still");
  await takesOver(lab, met, from);
  await servesNobody(lab, met, cable, () => computer.signal('SIGCONT'));
}, { needsGuest: true });

for (const [direction, what] of [['up', 'from'], ['down', 'to']]) {
  story(`nothing gets ${what} the computer that carries the call any more: the server takes over`, async (lab) => {
    const { cable, ...met } = await meetByCable(lab);
    const from = Date.now();
    cable.cut({ [direction]: true });
    lab.note(`nothing gets ${what} Dan's computer any more`);
    await takesOver(lab, met, from);
    const hasLeft = ({ legs }) => legs.length === 1;
    for (const person of met.people) await person.until('has closed the leg to it', 8000, hasLeft);
    await servesNobody(lab, met, cable, () => cable.mend());
  }, { needsGuest: true });
}

story('signaling dies while a computer carries the call: the call goes on, and all is whole when it is back', async (lab) => {
  const secret = { BATON_SECRET: SECRET, BATON_HOSTING: 'central' };
  const first = await lab.baton(['signaling'], secret);
  const port = first.port('http');
  await lab.baton(['host', '--signaling', `http://127.0.0.1:${port}`], secret);
  const { people, room, token, epoch, server, computer } = await meet(lab, first, '127.0.0.1', { browsers: ['chromium', 'firefox'] });
  const { host } = await people[0].report();
  await watchFor(4500); // legs to the server are left alone for three seconds, and fall silent
  let second = first;
  await nobodyFreezes(people, 9000, {
    fps: 10,
    during: async () => {
      await first.stop('SIGKILL');
      lab.note('signaling is dead');
      await watchFor(3000); // longer than the lease of the computer is confirmed for
      second = await lab.baton(['signaling'], { ...secret, BATON_HTTP: `127.0.0.1:${port}` });
    },
  });
  const isWhole = (report) => report.host.id === host.id && report.epoch === epoch && report.standby?.id === server.id;
  for (const person of people) await person.until("is at Dan's computer still, in the same term", 10_000, isWhole);
  const dora = await lab.join('Dora', 'chromium', second.url, room, { small: true, query: { token: token() } });
  await all([...people, dora], 15_000);
  await dora.until("is at Dan's computer too", 10_000, isWhole);
  await computer.stop('SIGKILL'); // it would look for somebody to hand the call to
});
