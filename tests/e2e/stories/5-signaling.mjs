// Signaling goes away and comes back; media does not notice.

import assert from 'node:assert/strict';

import { Baton } from '../rig/baton.mjs';
import { nobodyFreezes } from '../rig/person.mjs';
import { story } from '../rig/story.mjs';
import { watchFor } from '../rig/wait.mjs';

story('a lost WebSocket is resumed without a freeze and under the same number', async (lab) => {
  const baton = await lab.baton();
  const door = await lab.door(baton.port('http'));
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', door.url, room, { small: true });
  const ben = await lab.join('Ben', 'firefox', door.url, room, { small: true });
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  const before = await Promise.all([ana.report(), ben.report()]);
  await nobodyFreezes([ana, ben], 12_000, {
    during: async () => {
      door.slam();
      await watchFor(4000); // as long as a phone takes from Wi-Fi to the mobile network
      door.mend();
    },
  });
  const after = await Promise.all([ana.report(), ben.report()]);
  assert.deepEqual(after.map(({ me }) => me), before.map(({ me }) => me));
  const cleo = await lab.join('Cleo', 'chromium', door.url, room, { small: true });
  await Promise.all([ana.sees(cleo, { within: 8000, fps: 5 }), ben.sees(cleo, { within: 8000, fps: 5 })]);
});

story('signaling restarted as a process of its own finds its calls running', async (lab) => {
  const BATON_SECRET = 'a secret of two processes on one computer';
  const first = await lab.baton(['signaling'], { BATON_SECRET });
  const port = first.port('http');
  await lab.baton(['host', '--signaling', `http://127.0.0.1:${port}`], { BATON_SECRET });
  const room = lab.room();
  const invited = () => ({ small: true, query: { token: Baton.invitation(BATON_SECRET, room) } });
  const ana = await lab.join('Ana', 'chromium', first.url, room, invited());
  const ben = await lab.join('Ben', 'firefox', first.url, room, invited());
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  const before = await ana.report();
  let second = first;
  await nobodyFreezes([ana, ben], 15_000, {
    during: async () => {
      await first.stop('SIGKILL');
      lab.note('signaling is dead');
      await watchFor(2000);
      second = await lab.baton(['signaling'], { BATON_SECRET, BATON_HTTP: `127.0.0.1:${port}` });
    },
  });
  const cleo = await lab.join('Cleo', 'chromium', second.url, room, invited());
  await Promise.all([ana.sees(cleo, { within: 15_000, fps: 5 }), cleo.sees(ben, { within: 15_000, fps: 5 })]);
  const after = await ana.report();
  assert.equal(after.me, before.me);
  assert.equal(after.connection.state, 'connected');
});
