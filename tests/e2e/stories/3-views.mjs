// What is shown decides what is sent.

import assert from 'node:assert/strict';

import { changes, nobodyFreezes } from '../rig/person.mjs';
import { story } from '../rig/story.mjs';
import { watchFor } from '../rig/wait.mjs';

const LARGE = { width: 1280, height: 800 };
const SMALL = { width: 320, height: 480 };

/**
 * Ana's camera is shown to Ben in a large window. He sends no picture and she has a small window, so two processors have time for hers; and he
 * is in a browser of his own: a window that changes its size holds up every camera of its browser.
 */
async function showLarge(lab) {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { viewport: SMALL });
  const ben = await lab.join('Ben', 'another chromium', url, room, { viewport: LARGE });
  await ben.click('Turn off camera');
  const large = await ben.until('gets the largest layer', 10_000, (report) => camera(report)?.width >= 1200);
  return { ana, ben, large };
}

const camera = (report) => report.videos.find(({ source }) => source === 'camera');

story('a tile that shrinks changes to a smaller layer within a second and back, without a freeze', async (lab) => {
  const { ana, ben, large } = await showLarge(lab);
  await nobodyFreezes([ben], 6000, {
    fps: 15,
    during: async () => {
      await ben.resize(SMALL.width, SMALL.height);
      const shrunk = await ben.until('gets a smaller layer', 1000, (report) => camera(report).rid !== camera(large).rid && camera(report).width < 1200);
      lab.note(`now ${camera(shrunk).rid} at ${camera(shrunk).width}x${camera(shrunk).height}`);
      await ben.resize(LARGE.width, LARGE.height);
      await ben.until('gets the largest layer again', 1500, (report) => camera(report).width >= 1200);
    },
  });
  assert.equal((await ana.report()).connection.state, 'connected');
});

story('a camera encodes only what somebody watches, and the rest within a second of being wanted', async (lab) => {
  const { ana, ben } = await showLarge(lab);
  const upload = ({ published }) => published.find(({ source }) => source === 'camera').layers.reduce((sum, { bitrate }) => sum + bitrate, 0);
  await ana.report(); // rates count from one reading to the next
  await watchFor(3000);
  const whole = upload(await ana.report());
  await ben.resize(SMALL.width, SMALL.height);
  await ben.until('gets a smaller layer', 1000, (report) => camera(report).width < 1200);
  await watchFor(2000); // what nobody watches has so long to end
  await ana.report();
  await watchFor(2000);
  const rest = upload(await ana.report());
  lab.note(`${whole} b/s in full size, ${rest} b/s small`);
  assert.ok(rest > 0 && rest <= whole * 0.3, `the camera sends ${rest} b/s of ${whole} b/s`);
  await ben.resize(LARGE.width, LARGE.height);
  await ben.until('gets the largest layer again', 1000, (report) => camera(report).width >= 1200);
});

story('a page that nobody looks at costs no picture downlink, and voices go on', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room);
  const ben = await lab.join('Ben', 'chromium', url, room);
  await ben.sees(ana, { within: 8000 });
  const look = (isHidden) => ben.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    Object.defineProperty(document, 'visibilityState', { value: hidden ? 'hidden' : 'visible', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  await look(true);
  await watchFor(3000); // time for the page to say so and for the last pictures to arrive
  const before = await ben.report();
  await watchFor(3000);
  const { videos, audios } = changes(before, await ben.report());
  for (const { frames } of videos) assert.ok(frames <= 1, `${frames} pictures came although hidden`);
  assert.ok(audios.some(({ packets }) => packets > 50), 'the voice stopped');
  await look(false);
  await ben.sees(ana, { within: 2000 });
});
