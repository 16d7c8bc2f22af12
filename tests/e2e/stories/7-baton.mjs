// Passing the baton: the call changes hosts while people talk.

import assert from 'node:assert/strict';

import { Baton } from '../rig/baton.mjs';
import { Computer } from '../rig/computer.mjs';
import { story } from '../rig/story.mjs';
import { until, watchFor } from '../rig/wait.mjs';

const SECRET = 'a secret of one signaling service and several hosts';
/** Longest gap beyond the same picture's own before, on two processors that encode everything twice meanwhile. Milliseconds. */
const MOST_HITCH = 1000;
const USUAL_HITCH = 250;
/** Longest gap after a host died. */
const HOLE = 1500;

/** Signaling, two hosts, and two people who see and hear each other through the first; Ana is moderator. */
async function meet(lab) {
  const secret = { BATON_SECRET: SECRET };
  const signaling = await lab.baton(['signaling'], secret);
  const link = ['host', '--signaling', `http://127.0.0.1:${signaling.port('http')}`];
  const first = await lab.baton([...link, '--name', 'first'], secret);
  const numbers = [await first.hostNumber()];
  const room = lab.room();
  const enter = (name, browser, words = []) =>
    lab.join(name, browser, signaling.url, room, { small: true, query: { token: Baton.invitation(SECRET, room, words) } });
  const ana = await enter('Ana', 'chromium', ['--moderator']);
  const ben = await enter('Ben', 'firefox');
  await meetAgain([ana, ben], 8000);
  // Linked only now, so that the room begins at the first.
  const second = await lab.baton([...link, '--name', 'second'], secret);
  numbers.push(await second.hostNumber());
  await watchFor(2000); // a stretch of time to compare with
  return { people: [ana, ben], first, second, numbers };
}

async function meetAgain([ana, ben], within) {
  await Promise.all([ana.sees(ben, { within, fps: 10 }), ben.sees(ana, { within, fps: 10 })]);
  await Promise.all([ana.hears(ben, { within }), ben.hears(ana, { within })]);
}

const pass = (person, to) => person.evaluate((host) => window.baton.call.passBaton(host), to);

/** Waits until somebody is at a host with one leg there, and their `count`th change is accounted for. */
const isAt = (person, host, count) => person.until(`is at host ${host}`, 12_000, (report) =>
  report.host.id === host && report.moving === null && report.legs.length === 1 && report.legs[0].host === host && report.moves.length >= count);

/** Fails where the picture stood still over the last change; returns how much longer than usual it took, and the freezes that the browser counted. */
function assertSmooth(lab, name, report) {
  const { longestGapMs, baselineMs, concealedMs, tookMs } = report.moves.at(-1);
  const freezes = report.videos.reduce((sum, video) => sum + video.freezeCount, 0);
  const seen = `${longestGapMs} ms without a picture (${baselineMs} ms before), ${freezes} freezes, ${concealedMs} ms of sound made up`;
  lab.note(`${name}: ${seen}, took ${tookMs} ms`);
  const hitch = longestGapMs - (baselineMs ?? 0);
  assert.ok(hitch < MOST_HITCH, `${name} saw ${seen}`);
  return { hitch, freezes, seen };
}

story('a call moves to another host and back, and nobody freezes', async (lab) => {
  const { people, numbers } = await meet(lab);
  const changes = [];
  for (const [index, host] of [numbers[1], numbers[0]].entries()) {
    const { epoch } = await people[0].report();
    await pass(people[0], host);
    for (const person of people) {
      const report = await isAt(person, host, index + 1);
      assert.ok(report.epoch > epoch, `epoch ${report.epoch} after ${epoch}`);
      assert.equal(report.moves.at(-1).kind, 'planned');
      changes.push(assertSmooth(lab, person.name, report));
    }
    await meetAgain(people, 3000);
  }
  // Four times somebody changed over: once, two processors may have been busy with something else.
  const seen = changes.map((change) => change.seen).join('\n');
  assert.ok(changes.filter(({ freezes }) => freezes > 0).length <= 1, seen);
  assert.ok(changes.filter(({ hitch }) => hitch > USUAL_HITCH).length <= 2, seen);
});

story('a move is given up when the new host dies in the middle of it, and the call stays', async (lab) => {
  const { people, second, numbers } = await meet(lab);
  const [ana, ben] = people;
  const { epoch } = await ana.report();
  // Ben never says that he has changed over, so the move waits for him.
  await ben.evaluate(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) { if (!text.includes('"switched"')) send.call(this, text); };
  });
  await pass(ana, numbers[1]);
  for (const person of people) {
    await person.until('is shown the new host', 8000, ({ legs }) => legs.some(({ host, isHeard }) => host === numbers[1] && isHeard));
  }
  await second.stop('SIGKILL');
  lab.note('the new host is dead');
  for (const person of people) {
    const report = await isAt(person, numbers[0], 1);
    assert.equal(report.epoch, epoch, 'the term is the one before');
    assertSmooth(lab, person.name, report);
  }
  await meetAgain(people, 3000);
});

story("somebody's computer carries the call, dies, and the server takes over at once", async (lab) => {
  const baton = await lab.baton();
  const room = lab.room();
  const people = [await lab.join('Ana', 'chromium', baton.url, room, { small: true }), await lab.join('Ben', 'firefox', baton.url, room, { small: true })];
  const [ana] = people;
  await meetAgain(people, 8000);
  const { host: server } = await ana.report();
  const computer = Computer.offer(lab, `${baton.url}/r/${room}`, 'Ana');
  await until("Ana's computer is offered", 10_000, () => ana.evaluate(() => window.baton.call.state.hosting?.candidates.length > 0));
  await ana.click('Via server');
  await ana.click("Host on Ana's computer");
  for (const person of people) {
    const isThere = ({ host, standby, legs }) =>
      host.kind === 'participant' && standby?.id === server.id && legs.length === 2 && legs.every(({ state }) => state === 'connected');
    const report = await person.until("is at Ana's computer, with a leg to the server", 15_000, (report) => isThere(report) && report.moves.length > 0);
    assertSmooth(lab, person.name, report);
  }
  await meetAgain(people, 5000);
  await watchFor(3000); // a stretch of time to compare with
  await computer.stop('SIGKILL');
  lab.note("Ana's computer is dead");
  for (const person of people) {
    const report = await person.until('is back at the server', 8000, ({ host, moves }) => host.id === server.id && moves.at(-1)?.kind === 'failover');
    const { longestGapMs, concealedMs } = report.moves.at(-1);
    lab.note(`${person.name}: ${longestGapMs} ms without a picture, ${concealedMs} ms of sound made up`);
    assert.ok(longestGapMs < HOLE, `${person.name} saw nothing for ${longestGapMs} ms`);
  }
  await meetAgain(people, 5000);
});
