// A laptop is all there is: it carries the call of the people around, in a network without internet.

import assert from 'node:assert/strict';

import { guest } from '../rig/line.mjs';
import { story } from '../rig/story.mjs';
import { until } from '../rig/wait.mjs';

const VIEW = { viewport: { width: 900, height: 600 } };

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
