// Calls over bad lines.

import assert from 'node:assert/strict';

import { changes } from '../rig/person.mjs';
import { WATCH_MS, story } from '../rig/story.mjs';
import { watchFor } from '../rig/wait.mjs';

const VIEW = { viewport: { width: 900, height: 600 }, query: { quality: 'low' } };

async function call(lab, percent) {
  const baton = await lab.baton();
  const line = lab.line(baton);
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', baton.url, room, VIEW);
  const ben = await lab.join('Ben', 'chromium', baton.url, room, VIEW);
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  line.lose(percent);
  await watchFor(2000); // let the jitter buffers learn the line
  const before = await Promise.all([ana.report(), ben.report()]);
  await watchFor(WATCH_MS);
  const after = await Promise.all([ana.report(), ben.report()]);
  assert.ok(line.lost > WATCH_MS / 100, `the line lost only ${line.lost} datagrams`);
  return [0, 1].map((side) => changes(before[side], after[side]));
}

story('with 2 % of the packets lost no picture stands still for half a second', async (lab) => {
  for (const { videos } of await call(lab, 2)) {
    assert.equal(videos.length, 1);
    const [{ frozenMs, frames, longestGapMs }] = videos;
    assert.ok(frozenMs < 500, `frozen for ${frozenMs} ms`);
    assert.ok(longestGapMs === null || longestGapMs < 500, `longest gap ${longestGapMs} ms`);
    assert.ok(frames / (WATCH_MS / 1000) > 15, `${frames} pictures in ${WATCH_MS / 1000} s`);
  }
}, { needsLine: true });

story('with 10 % of the packets lost at most 1.5 % of a voice is made up', async (lab) => {
  for (const { audios, videos } of await call(lab, 10)) {
    const voice = audios.toSorted((a, b) => b.packets - a.packets)[0];
    assert.ok(voice?.packets > WATCH_MS / 100, 'no voice arrived');
    assert.ok(voice.concealed <= 0.015, `${(voice.concealed * 100).toFixed(2)} % of the samples were made up`);
    assert.ok(videos[0].frames > 0, 'the picture stands still');
  }
}, { needsLine: true });
