// Calls over bad lines.

import assert from 'node:assert/strict';

import { changes } from '../rig/person.mjs';
import { WATCH_MS, story } from '../rig/story.mjs';
import { watchFor } from '../rig/wait.mjs';

const VIEW = { viewport: { width: 900, height: 600 }, query: { quality: 'low' } };

async function meet(lab) {
  const baton = await lab.baton();
  const line = lab.line(baton);
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', baton.url, room, VIEW);
  const ben = await lab.join('Ben', 'chromium', baton.url, room, VIEW);
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  return { line, people: [ana, ben] };
}

/** What both people saw and heard while this percentage was lost towards the host and towards them. */
async function watch({ line, people }, up, down) {
  line.lose(up, down);
  await watchFor(2000); // let the jitter buffers learn the line
  const before = await Promise.all(people.map((person) => person.report()));
  await watchFor(WATCH_MS);
  const after = await Promise.all(people.map((person) => person.report()));
  assert.ok(line.lost > WATCH_MS / 200, `the line lost only ${line.lost} datagrams`);
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

story('with 10 % of the packets lost at most 1.5 % of a voice is made up', async (lab) => {
  const call = await meet(lab);
  // One participant's bad line is one bad hop for every voice: towards the host for the own, towards the listener for the others'.
  for (const [up, down] of [[10, 0], [0, 10]]) {
    for (const { audios, videos } of await watch(call, up, down)) {
      const voice = audios.toSorted((a, b) => b.packets - a.packets)[0];
      assert.ok(voice?.packets > WATCH_MS / 100, 'no voice arrived');
      const madeUp = `${(voice.concealed * 100).toFixed(2)} % of the samples were made up with ${up} % lost up and ${down} % down`;
      assert.ok(voice.concealed <= 0.015, madeUp);
      assert.ok(videos[0].frames > 0, 'the picture stands still');
    }
  }
}, { needsLine: true });
