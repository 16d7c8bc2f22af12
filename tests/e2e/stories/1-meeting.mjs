// People meet: pictures, voices, screens, coming and going.

import assert from 'node:assert/strict';

import { nobodyFreezes } from '../rig/person.mjs';
import { WATCH_MS, story } from '../rig/story.mjs';
import { until } from '../rig/wait.mjs';

/** Ana in Chromium and Ben in Firefox join one after the other; both are connected. */
async function meet(lab, how) {
  const { url } = await lab.baton();
  const room = lab.room();
  const people = [];
  for (const [name, browser] of [['Ana', 'chromium'], ['Ben', 'firefox']]) {
    const person = await lab.join(name, browser, url, room, how);
    await person.until('is connected', 5000, (report) => report.connection.state === 'connected');
    people.push(person);
  }
  lab.note('both are connected');
  return { people, room };
}

/** From now on, within two seconds. */
async function seeAndHear(lab, [ana, ben]) {
  await Promise.all([ana.sees(ben), ben.sees(ana), ana.hears(ben), ben.hears(ana)]);
  lab.note('they see and hear each other');
}

story('two people in different browsers see and hear each other within two seconds', async (lab) => {
  const { people, room } = await meet(lab, {});
  await seeAndHear(lab, people);
  const report = await people[0].report();
  assert.equal(report.host.kind, 'central');
  assert.equal(report.room, room);
  assert.ok(report.epoch >= 1);
});

// On two slow processors no time is left over for cameras and windows of full size in two browsers: those are watched where there is more.
story('two people in different browsers talk and nothing freezes', async (lab) => {
  const { people } = await meet(lab, { small: WATCH_MS < 60_000 });
  await seeAndHear(lab, people);
  const seen = await nobodyFreezes(people, WATCH_MS);
  for (const { name, audios } of seen) {
    assert(audios.some(({ packets }) => packets > WATCH_MS / 100), `${name} heard nothing: ${JSON.stringify(audios)}`);
  }
});

story('media of both browsers is sealed with AES-GCM', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  for (const [name, browser] of [['Ana', 'chromium'], ['Ben', 'firefox']]) {
    const person = await lab.join(name, browser, url, room, { small: true });
    const { connection } = await person.until('is connected', 5000, (report) => report.connection.state === 'connected' && report.connection.srtpProfile);
    assert.match(connection.srtpProfile, /GCM/, `${browser}: ${connection.srtpProfile}`);
  }
});

story('a shared screen appears within two seconds and goes when sharing ends', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { small: true });
  const ben = await lab.join('Ben', 'firefox', url, room, { small: true });
  await ben.sees(ana, { within: 8000, fps: 1 });
  await ana.click('Share screen');
  await ben.sees(ana, { source: 'screen', fps: 0 });
  await ana.click('Share screen');
  await ben.until('no longer sees the screen', 2000, (report) => report.videos.every((video) => video.source !== 'screen'));
});

// Starting two more browsers costs the first two a picture on two processors, whichever room they enter: theirs take what is left over.
story('a third and a fourth come and go without a freeze for the others', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { small: true });
  const ben = await lab.join('Ben', 'firefox', url, room, { small: true });
  await Promise.all([ana.sees(ben, { within: 8000 }), ben.sees(ana, { within: 8000 })]);
  await nobodyFreezes([ana, ben], WATCH_MS, {
    fps: 12, // four tabs that encode and decode on two cores
    during: async () => {
      const cleo = await lab.join('Cleo', 'unhurried chromium', url, room, { small: true });
      const dan = await lab.join('Dan', 'unhurried chromium', url, room, { small: true });
      await Promise.all([ana.sees(cleo, { within: 8000, fps: 5 }), ben.sees(dan, { within: 8000, fps: 5 })]);
      lab.note('all four see each other');
      await cleo.click('Leave call');
      await lab.gone(dan);
      const alone = (report) => report.videos.length === 1;
      await Promise.all([ana.until('sees only Ben', 8000, alone), ben.until('sees only Ana', 8000, alone)]);
    },
  });
});

/** What a browser makes up for a voice that has ended hums at -99 dB; nobody hears less than this. */
const AUDIBLE = 1e-4;

/** For half a second no packet of somebody's voice has come, and nothing is to be heard. */
function hasFallenSilent(participant) {
  let before = { packets: -1, since: 0 };
  return (report) => {
    const voices = report.audios.filter((audio) => audio.participant === participant);
    const packets = voices.reduce((sum, { packetsReceived }) => sum + packetsReceived, 0);
    if (packets !== before.packets) before = { packets, since: Date.now() };
    return Date.now() - before.since >= 500 && voices.every(({ level }) => level < AUDIBLE);
  };
}

story('a camera turned off and a microphone muted fall silent everywhere at once', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { small: true });
  const ben = await lab.join('Ben', 'chromium', url, room, { small: true });
  await Promise.all([ben.sees(ana, { within: 8000 }), ben.hears(ana, { within: 8000 })]);
  const { me } = await ana.report();
  await ana.click('Turn off camera');
  await ben.until('sees no picture of Ana', 1500, (report) => report.videos.every((video) => video.participant !== me || video.paused === 'muted'));
  await ana.click('Mute microphone');
  await ben.until('gets and hears nothing of Ana', 2500, hasFallenSilent(me));
  await ana.click('Turn off camera');
  await ben.sees(ana, { within: 3000 });
});

story('the plain page is a working call with the other one', async (lab) => {
  const { url } = await lab.baton();
  const room = lab.room();
  const ana = await lab.join('Ana', 'chromium', url, room, { small: true });
  const ben = await lab.open('Ben', 'firefox', `${url}/minimal?room=${room}&name=Ben&join`);
  await ana.until('sees Ben', 8000, (report) => report.videos.some(({ fps }) => fps > 10));
  const moving = () => ben.evaluate(() => [...document.querySelectorAll('video')].filter((video) => video.videoWidth > 0 && video.currentTime > 1).length);
  await until('Ben sees himself and Ana', 8000, async () => (await moving()) >= 2, () => ben.said.join('\n'));
});
