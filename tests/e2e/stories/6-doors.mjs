// Independent implementations come in by WHIP and WHEP.

import assert from 'node:assert/strict';

import { startPeer } from '../rig/peer.mjs';
import { story } from '../rig/story.mjs';

story('what GStreamer publishes by WHIP is seen in a browser', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { small: true });
  await ana.until('is connected', 5000, (report) => report.connection.state === 'connected');
  const camera = startPeer(lab, 'gstreamer', 'whip_gstreamer.py', [`${url}/whip/${room}`]);
  await ana.until('sees the camera', 8000, (report) => report.videos.some(({ framesDecoded, fps }) => framesDecoded > 30 && fps > 15));
  await ana.until('hears the camera', 3000, (report) => report.audios.some(({ level }) => level > 0));
  await camera.stop();
  await ana.until('the camera is gone', 5000, (report) => report.videos.length === 0);
});

story('a peer that only has AES_CM sees a browser by WHEP', async (lab) => {
  const baton = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', baton.url, room, { small: true });
  await ana.until('publishes', 8000, (report) => report.published.some(({ layers }) => layers.some(({ fps }) => fps > 10)));
  const watcher = startPeer(lab, 'aiortc', 'whep_aiortc.py', [`${baton.url}/whep/${room}`, '5']);
  const said = await watcher.result();
  assert.equal(said.profile, 'SRTP_AES128_CM_SHA1_80');
  assert.ok(said.videoFrames > 50, JSON.stringify(said));
  assert.ok(said.audioFrames > 100, JSON.stringify(said));
});

story('a WHIP resource is deleted once and is gone then', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const offer = await startPeer(lab, 'aiortc', 'whip_resource.py', [`${url}/whip/${room}`]).result();
  assert.equal(offer.created, 201);
  assert.ok(offer.location, 'no Location');
  assert.equal(offer.deleted, 200);
  assert.ok([404, 410].includes(offer.again), `DELETE of what is gone said ${offer.again}`);
  assert.equal(offer.garbage.type, 'application/problem+json');
  assert.ok(offer.garbage.status >= 400 && offer.garbage.status < 500);
});
