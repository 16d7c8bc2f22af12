// Some are on a participant's computer and some on the server, in one call.

import assert from 'node:assert/strict';

import { Computer } from '../rig/computer.mjs';
import { startPeer } from '../rig/peer.mjs';
import { story } from '../rig/story.mjs';
import { until } from '../rig/wait.mjs';

/** Three browsers encode everything twice while a call moves, on two processors. */
const FPS = 20;
const WITHIN = 20_000;

async function meet(lab, browsers) {
  const baton = await lab.baton();
  const room = lab.room();
  const people = [];
  for (const [name, browser] of browsers) people.push(await lab.join(name, browser, baton.url, room, { small: true }));
  const computer = Computer.offer(lab, `${baton.url}/r/${room}`, 'Ana');
  const [ana] = people;
  await until("Ana's computer is offered", 10_000, () => ana.evaluate(() => window.baton.call.state.hosting?.candidates.length > 0));
  const { host } = await ana.report();
  return { baton, room, people, computer, server: host.id };
}

/** Everybody sees and hears everybody else. */
async function all(people, within = WITHIN) {
  const pairs = people.flatMap((one) => people.filter((other) => other !== one).map((other) => [one, other]));
  await Promise.all(pairs.map(([one, other]) => one.sees(other, { fps: FPS, within })));
  await Promise.all(pairs.map(([one, other]) => one.hears(other, { within })));
}

const move = async (ana) => {
  await ana.click('Via server');
  await ana.click("Host on Ana's computer");
};

/** Waits until everybody knows whose computer carries the call, and each is served where they shall be. */
async function served(people, isAside, server) {
  for (const person of people) {
    const report = await person.until("is in a call on Ana's computer", 20_000, ({ host, moving, mine }) =>
      host?.kind === 'participant' && moving === null && (mine === server) === isAside(person));
    assert.equal(report.epoch > 1, true);
  }
}

story('who uses the server and a WHEP viewer stay there while the others move to a computer, and back', async (lab) => {
  const { baton, room, people, server } = await meet(lab, [['Ana', 'chromium'], ['Ben', 'firefox'], ['Cleo', 'chromium']]);
  const [ana, ben, cleo] = people;
  await cleo.number();
  await cleo.evaluate(() => window.baton.call.useServer(true));
  await all(people);
  const viewer = startPeer(lab, 'aiortc', 'whep_aiortc.py', [`${baton.url}/whep/${room}`, '25']);
  await move(ana);
  await served(people, (person) => person === cleo, server);
  assert.match(await cleo.evaluate(() => document.querySelector('.badge')?.textContent ?? ''), /Hosted by Ana's computer · you use the server/);
  await all(people);
  const { legs } = await cleo.report();
  assert.deepEqual(legs.map(({ host }) => host), [server], 'Cleo has a leg to the server only');
  const said = await viewer.result();
  lab.note(`the viewer decoded ${said.videoFrames} pictures and ${said.audioFrames} packets of sound in 25 s: ${said.videoEachSecond}`);
  // It tells what its line carries by an estimate of its own (REMB), in Python beside three browsers: how many pictures it gets is its affair.
  const settled = said.videoEachSecond.slice(10);
  assert.ok(settled.every((count) => count > 5) && said.audioFrames > 900, JSON.stringify(said));
  // Ben changes to the server and back, in the middle of the call.
  for (const uses of [true, false]) {
    await ben.evaluate((always) => window.baton.call.useServer(always), uses);
    await served(people, (person) => person === cleo || (uses && person === ben), server);
    await all(people);
  }
  await ana.evaluate(() => window.baton.call.passBaton());
  for (const person of people) await person.until('is back at the server', 15_000, ({ host, moving }) => host?.id === server && moving === null);
  await all(people);
});
