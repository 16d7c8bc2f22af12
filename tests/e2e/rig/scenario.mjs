// Plays one scenario of `tests/lab` with real browsers, and gives its recording.

import { Baton } from './baton.mjs';
import { chromiumIn } from './browsers.mjs';
import { begin, samplesOf, seen } from './sampler.mjs';
import { watchFor } from './wait.mjs';
import { MIDDLE, Wire } from './world.mjs';

const SECRET = 'a secret of the lab, which is long enough';
const VIEWPORT = { width: 1280, height: 800 };
const TOGETHER_MS = 20_000;
const WAITS_EVERY_MS = 50;

/** `spaces`: the middle, then the namespace of everybody with a line, by name. `browser`: of the first of them, who sits where this runs. */
export async function play(lab, scenario, { middle, spaces, browser }) {
  const address = `${MIDDLE}:0`;
  const baton = await lab.baton([], { BATON_HTTP: address, BATON_MEDIA: address, BATON_TLS: 'self-signed', BATON_SECRET: SECRET }, middle);
  const url = `https://${baton.address('http')}`;
  const room = lab.room();
  const wires = new Map();
  const waits = new Map();
  for (const [index, [name, space]] of [...spaces].entries()) {
    const wire = await Wire.lay(middle, space, index + 1, index + 7);
    lab.onClose(() => wire.close());
    wires.set(name, wire);
    waits.set(name, []);
    if (scenario.people[name].udp_blocked) wire.blockUdp(baton.port('media'));
  }
  const set = (name) => {
    const { up, down } = scenario.people[name];
    wires.get(name)?.change({ up, down });
  };
  const kinds = [...spaces.keys()];
  const open = async (name) => {
    const one = scenario.people[name];
    const isFirst = kinds[0] === name;
    const kind = isFirst ? browser : `chromium of ${spaces.has(name) ? name : 'the middle'}`;
    if (!isFirst) lab.browser(kind, () => chromiumIn(spaces.get(name) ?? middle));
    const words = new URLSearchParams({ name, token: Baton.invitation(SECRET, room), ...(typeof one.joins === 'number' ? {} : { join: '' }) });
    const person = await lab.open(name, kind, `${url}/r/${room}?${words}`, { viewport: VIEWPORT });
    if (typeof one.joins === 'number') {
      await person.ready('Join call', 10_000);
      if (!one.films) await person.click('Turn off camera');
    } else {
      await person.until('is connected', TOGETHER_MS, (report) => report.connection.state === 'connected');
      if (!one.films) await person.click('Turn off camera');
    }
    await begin(person);
    return person;
  };
  const names = Object.keys(scenario.people);
  const people = new Map();
  // Publishers first: who comes later sees them at once.
  for (const name of names.toSorted((a, b) => Number(scenario.people[b].films ?? false) - Number(scenario.people[a].films ?? false))) {
    people.set(name, await open(name));
  }
  const present = names.filter((name) => typeof scenario.people[name].joins !== 'number');
  for (const name of present) set(name);
  for (const name of present) {
    for (const shown of Object.keys(scenario.people[name].watches ?? {})) {
      await people.get(name).sees(people.get(shown), { within: TOGETHER_MS, fps: 5 });
      if (names.length > 2) await people.get(name).click(`Pin ${shown}`);
    }
  }
  const start = Date.now();
  const ticker = setInterval(() => {
    for (const [name, wire] of wires) waits.get(name).push({ at: Date.now(), queue: wire.takeQueue(), downloaded: wire.downloaded });
  }, WAITS_EVERY_MS);
  lab.onClose(() => clearInterval(ticker));
  const events = [
    ...(scenario.changes ?? []).map((change) => ({ at: change.at, happens: () => happen(change) })),
    ...names.filter((name) => typeof scenario.people[name].joins === 'number').map((name) => ({
      at: scenario.people[name].joins,
      happens: async () => {
        set(name);
        await people.get(name).click('Join call');
      },
    })),
  ].toSorted((a, b) => a.at - b.at);

  async function happen({ who, up, down, downloads, moves, watches }) {
    wires.get(who)?.change({ up, down, downloads });
    if (moves) wires.get(who).move();
    const [size] = Object.values(watches ?? {});
    // The picture fills the window but for what is around it.
    if (size) await people.get(who).resize(size[0], Math.max(300, size[1] + 120));
  }

  for (const { at, happens } of events) {
    await watchFor(Math.max(0, start + at * 1000 - Date.now()));
    await happens();
    lab.note(`second ${at}`);
  }
  await watchFor(Math.max(0, start + scenario.seconds * 1000 - Date.now()));

  const looks = new Map();
  for (const [name, person] of people) looks.set(name, await seen(person));
  const numbers = new Map([...looks].map(([name, list]) => [list.at(-1)?.me, name]));
  return {
    world: browser,
    people: Object.fromEntries([...looks].map(([name, list]) => {
      const [voice] = Object.keys(scenario.people[name].watches ?? {});
      return [name, samplesOf(list, { start, names: numbers, voice, waits: waits.get(name) ?? [] })];
    })),
  };
}
