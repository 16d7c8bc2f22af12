// The same call with every video codec that the browsers can send.

import assert from 'node:assert/strict';

import { nobodyFreezes } from '../rig/person.mjs';
import { WATCH_MS, story } from '../rig/story.mjs';

for (const [codec, browsers] of [['vp9', ['chromium', 'firefox']], ['av1', ['chromium', 'firefox']], ['h264', ['chromium', 'chromium']]]) {
  story(`two people see each other with ${codec.toUpperCase()}`, async (lab) => {
    const { url } = await lab.baton();
    const room = lab.room();
    const ana = await lab.join('Ana', browsers[0], url, room, { small: true, query: { codec } });
    const ben = await lab.join('Ben', browsers[1], url, room, { small: true, query: { codec } });
    await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
    for (const person of [ana, ben]) {
      const report = await person.report();
      const camera = report.videos.find(({ source }) => source === 'camera');
      assert.equal(camera.codec.toLowerCase(), codec, `${person.name} is shown ${camera.codec}`);
    }
    await nobodyFreezes([ana, ben], WATCH_MS / 2);
  });
}
