// A laptop is all there is: it carries the call of the people around, in a network without internet.

import assert from 'node:assert/strict';

import { Computer } from '../rig/computer.mjs';
import { guest } from '../rig/line.mjs';
import { story } from '../rig/story.mjs';
import { until, watchFor } from '../rig/wait.mjs';
import { TooLate } from '../rig/witness.mjs';

const VIEW = { viewport: { width: 900, height: 600 } };
/** Longest time without a picture after the laptop died, on two processors that do everything. Milliseconds. */
const HOLE = 1000;

/** The link, as somebody follows it who is known to the page. */
const followedBy = (name, link) => link.replace('?', `?name=${name}&quality=low&join&`);

story('two people meet on a laptop that carries the call alone, by the link in its terminal', async (lab) => {
  const laptop = await lab.laptop(['--room', 'kitchen', '--name', 'Ana']);
  const { invites: [invite], owner, certificate } = laptop.ready;
  assert.ok(invite.startsWith(`https://${guest.home}:`), `${invite} is for the network around`);
  const ana = await lab.open('Ana', 'chromium', followedBy('Ana', owner), VIEW);
  const ben = await lab.open('Ben', 'guest chromium', followedBy('Ben', invite), VIEW);
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 }), ana.hears(ben, { within: 8000 }), ben.hears(ana, { within: 8000 })]);

  // Both can pass the invitation on; Ana's own token stays hers.
  for (const person of [ben, ana]) {
    const { token } = await person.evaluate(() => Object.fromEntries(new URLSearchParams(location.search)));
    assert.ok(invite.includes(`token=${token}#`), `${person.name} has ${token} in the address`);
  }
  const cleo = await lab.open('Cleo', 'guest chromium', await ben.evaluate(() => location.href), VIEW);
  const said = () => cleo.evaluate(() => document.body.textContent);
  await until('the page shows the certificate to compare', 5000, async () => (await said()).includes(certificate), said);

  await laptop.stop('SIGINT');
  const end = () => ben.evaluate(() => document.body.innerText);
  await until('Ben is told that the call is over', 5000, async () => (await end()).includes('The call was closed.'), end);
}, { needsGuest: true });

const meet = ([ana, ben], within) => Promise.all([
  ana.sees(ben, { within, fps: 10 }), ben.sees(ana, { within, fps: 10 }), ana.hears(ben, { within }), ben.hears(ana, { within }),
]);

story("a laptop that carries the call alone dies, and the call goes on at a guest's computer", async (lab) => {
  const laptop = await lab.laptop(['--room', 'cellar', '--name', 'Ana']);
  const { invites: [invite], owner } = laptop.ready;
  const people = [
    await lab.open('Ana', 'chromium', followedBy('Ana', owner), VIEW), await lab.open('Ben', 'guest chromium', followedBy('Ben', invite), VIEW),
  ];
  await meet(people, 8000);
  const cleo = Computer.visit(lab, invite, 'Cleo');
  const computer = Computer.offer(lab, invite, 'Ben', { space: process.env.BATON_GUEST });
  const isSafe = ({ host, standby, legs }) =>
    host.kind === 'central' && standby?.kind === 'participant' && legs.length === 2 && legs.every(({ state }) => state === 'connected');
  for (const person of people) await person.until("has a leg to Ben's computer, in case", 10_000, isSafe);
  await watchFor(2500); // a stretch of time to compare with
  const from = Date.now();
  await laptop.stop('SIGKILL');
  lab.note('the laptop is dead');
  for (const person of people) {
    const { moves } = await person.until("is at Ben's computer", 8000, ({ moves }) => moves.at(-1)?.kind === 'failover' && moves.at(-1).tookMs !== null);
    const { longestGapMs, baselineMs, concealedMs } = moves.at(-1);
    const seen = `${person.name}: ${longestGapMs} ms without a picture (${baselineMs} ms before), ${concealedMs} ms of sound made up`;
    lab.figure(seen);
    if (!(longestGapMs < HOLE)) throw new TooLate(seen, { from, to: from + 3000 });
  }
  // Nobody is there to be asked for anything any more.
  for (const person of people) {
    const badge = await person.evaluate(() => document.querySelector('.badge')?.textContent ?? '');
    assert.match(badge, /Hosted by Ben/, `${person.name} is told who carries the call`);
  }
  await meet(people, 5000);
  // Then somebody is: the heir, whose certificate programs know, and browsers do not.
  const { invite: refuge } = await until("Ben's computer lets people in", 10_000, () => computer.last('signaling'));
  lab.note(`Ben's computer lets people in: ${refuge}`);
  await until('Cleo has come to it', 10_000, () => cleo.resumed > 0);
  const dora = await lab.open('Dora', 'chromium', followedBy('Dora', refuge), VIEW);
  await dora.until('sees the three who were there', 15_000, ({ videos }) => videos.filter(({ framesDecoded }) => framesDecoded > 10).length === 3);
  await meet(people, 2000); // legs to the laptop were tried again and again meanwhile
  await computer.stop('SIGKILL'); // it would look for somebody to hand the call to
}, { needsGuest: true });
