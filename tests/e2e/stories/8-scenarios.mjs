// The most telling scenarios of `tests/lab`, with a real Chromium behind a real line. All of them: `make lab`.

import assert from 'node:assert/strict';

import { holds, real, scenarios, told } from '../rig/real.mjs';
import { Skip, story } from '../rig/story.mjs';

/** Tells a scenario and holds these of its figures to their bounds. */
function scenario(sentence, name, figures) {
  story(sentence, async (lab) => {
    if (process.getuid() !== 0) throw new Skip('a line needs network namespaces: run as root');
    const found = scenarios().find(([known]) => known === name);
    assert.ok(found, `no scenario ${name} in tests/lab`);
    const row = await real(name, found[1], 'chromium');
    assert.ok(!row.failed, row.failed);
    lab.note(row.figures.map(told).join('; '));
    const held = row.figures.filter(({ figure }) => figures.includes(figure.name));
    assert.equal(held.length, figures.length, `not all of ${figures} were measured`);
    const missed = held.filter((one) => !holds(one));
    assert.deepEqual(missed.map(told), [], `${row.figures.map(told).join('; ')}`);
  });
}

scenario('a line that drops to a tenth is followed down within seconds, and up again', 'drop, queue of 300 ms',
  ['queue below 200 ms again, s', 'low layer shown, s', 'page says that the line is slow, s', 'top layer again, s']);

scenario('on a slow line a picture that fits is shown within four seconds', 'start, 500 kb/s',
  ['connected, s', 'a layer that fits shown, s', 'queue, ms']);
