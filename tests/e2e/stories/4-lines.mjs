// Calls over bad lines.

import assert from 'node:assert/strict';

import { Baton } from '../rig/baton.mjs';
import { chromiumIn } from '../rig/browsers.mjs';
import { NET, homeOf } from '../rig/homes.mjs';
import { guest } from '../rig/line.mjs';
import { changes, nobodyFreezes } from '../rig/person.mjs';
import { WATCH_MS, story } from '../rig/story.mjs';
import { watchFor } from '../rig/wait.mjs';

const SECRET = 'a secret of the stories, long enough';

async function meet(lab) {
  const baton = await lab.baton();
  const line = lab.line(baton);
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', baton.url, room, { small: true });
  const ben = await lab.join('Ben', 'chromium', baton.url, room, { small: true });
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  return { line, people: [ana, ben] };
}

/** What both people saw and heard while this percentage was lost towards the host and towards them. */
async function watch({ line, people }, up, down, ms = WATCH_MS) {
  line.lose(up, down);
  await watchFor(2000); // let the jitter buffers learn the line
  const before = await Promise.all(people.map((person) => person.report()));
  await watchFor(ms);
  const after = await Promise.all(people.map((person) => person.report()));
  assert.ok(line.lost > ms / 200, `the line lost only ${line.lost} datagrams`);
  return people.map((_, side) => changes(before[side], after[side]));
}

story('with 2 % of the packets lost no picture stands still for half a second', async (lab) => {
  for (const { videos } of await watch(await meet(lab), 2, 2)) {
    assert.equal(videos.length, 1);
    const [{ frozenMs, frames, longestGapMs }] = videos;
    assert.ok(frozenMs < 500, `frozen for ${frozenMs} ms`);
    assert.ok(longestGapMs === null || longestGapMs < 500, `longest gap ${longestGapMs} ms`);
    assert.ok(frames / (WATCH_MS / 1000) > 15, `${frames} pictures in ${WATCH_MS / 1000} s`);
  }
}, { needsLine: true });

/** In 20 s a single voice loses between 0.3 and 1.5 % by chance alone (0.92 on average, of 20): two voices are watched for twice as long. */
const VOICES_MS = Math.max(WATCH_MS, 40_000);

story('with 10 % of the packets lost at most 1.5 % of a voice is made up', async (lab) => {
  const call = await meet(lab);
  // One participant's bad line is one bad hop for every voice: towards the host for the own, towards the listener for the others'.
  for (const [up, down] of [[10, 0], [0, 10]]) {
    const concealed = [];
    for (const { audios, videos } of await watch(call, up, down, VOICES_MS)) {
      const voice = audios.toSorted((a, b) => b.packets - a.packets)[0];
      assert.ok(voice?.packets > VOICES_MS / 100, 'no voice arrived');
      assert.ok(videos[0].frames > 0, 'the picture stands still');
      concealed.push(voice.concealed * 100);
    }
    const madeUp = `${concealed.map((part) => part.toFixed(2)).join(' and ')} % of the samples were made up with ${up} % lost up and ${down} % down`;
    console.log(`        ${madeUp}`);
    assert.ok((concealed[0] + concealed[1]) / 2 <= 1.5, madeUp);
    assert.ok(Math.max(...concealed) <= 2, madeUp);
  }
}, { needsLine: true });

/**
 * Ana in one browser and Ben in the other come to a call, each by TCP and within three seconds; `come` brings somebody by name. `frozen`:
 * milliseconds for which a picture may stand still.
 */
async function talkByTcp(come, frozen = 0) {
  const people = [];
  for (const name of ['Ana', 'Ben']) {
    const person = await come(name);
    const byTcp = ({ connection: { state, path } }) => state === 'connected' && path.protocol === 'tcp';
    await person.until('is connected by TCP', 3000, byTcp);
    people.push(person);
  }
  const [ana, ben] = people;
  await Promise.all([ana.sees(ben, { within: 4000 }), ben.sees(ana, { within: 4000 })]);
  await Promise.all([ana.hears(ben), ben.hears(ana)]);
  await nobodyFreezes(people, WATCH_MS, { fps: 15, frozen });
}

story('where UDP is blocked a call connects by TCP within three seconds and works', async (lab) => {
  const baton = await lab.baton();
  const line = lab.line(baton);
  line.lose(100);
  const room = lab.room();
  await talkByTcp((name) => lab.join(name, { Ana: 'chromium', Ben: 'firefox' }[name], baton.url, room, { small: true }));
  assert.ok(line.lost > 0, 'nobody tried UDP first');
  const metrics = await baton.metrics();
  assert.ok(metrics.get('baton_media_connections') >= 2, 'each has one at least');
}, { needsLine: true });

/** A browser may drop its largest layer while it finds out what its line carries: that is noticed, and a keyframe of the next one comes. */
const LAYER_DROPPED_MS = 450;

// On a longer way the two sides' first checks cross, and by TCP nothing is repeated.
story('behind routers that let no UDP out, far from the service, a call connects by TCP within three seconds and works', async (lab) => {
  const there = `${NET.v4}:0`;
  const baton = await lab.baton([], { BATON_HTTP: there, BATON_MEDIA: there, BATON_TLS: 'self-signed', BATON_SECRET: SECRET }, process.env.BATON_MIDDLE);
  const room = lab.room();
  lab.browser("Ana's", () => chromiumIn(homeOf('Ana')));
  await talkByTcp((name) => {
    const token = Baton.invitation(SECRET, room);
    return lab.join(name, { Ana: "Ana's", Ben: 'firefox' }[name], `https://${baton.address('http')}`, room, { small: true, query: { token } });
  }, LAYER_DROPPED_MS);
}, { homes: { Ana: 'blocked', Ben: 'blocked' }, delay: 50, driver: 'Ben' });

story('with a new address a call goes on within two and a half seconds', async (lab) => {
  const home = `${guest.home}:0`;
  const baton = await lab.baton([], { BATON_HTTP: home, BATON_MEDIA: home, BATON_TLS: 'self-signed', BATON_SECRET: SECRET });
  const url = `https://${baton.address('http')}`;
  const room = lab.room();
  const enter = (name, browser) => {
    const token = Baton.invitation(SECRET, room);
    return lab.join(name, browser, url, room, { small: true, query: { token } });
  };
  const ana = await enter('Ana', 'guest chromium');
  const ben = await enter('Ben', 'chromium');
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  await watchFor(3000);
  const me = await ana.number();
  for (const address of ['10.79.0.3', '10.79.0.4']) {
    const holes = [[ana, ben], [ben, ana]].map(([viewer, other]) => longestHole(viewer, other, 10_000));
    guest.move(address);
    lab.note(`Ana has the address ${address}`);
    for (const [viewer, hole] of [['Ana', await holes[0]], ['Ben', await holes[1]]]) {
      lab.note(`${viewer}: ${hole} ms without pictures`);
      assert.ok(hole > 300, `${viewer} noticed nothing: ${hole} ms`);
      assert.ok(hole < 2500, `${viewer} saw nothing for ${hole} ms`);
    }
  }
  assert.equal(await ana.number(), me, 'nobody joins anew');
}, { needsGuest: true });

/** The longest time within the next `ms` in which no picture of somebody was decoded. */
async function longestHole(viewer, other, ms) {
  const number = await other.number();
  const end = Date.now() + ms;
  let [frames, since, longest] = [-1, Date.now(), 0];
  while (Date.now() < end) {
    const { videos } = await viewer.report();
    const decoded = videos.find(({ participant }) => participant === number)?.framesDecoded ?? frames;
    const now = Date.now();
    if (decoded !== frames) [frames, since] = [decoded, now];
    longest = Math.max(longest, now - since);
    await watchFor(50);
  }
  return longest;
}
