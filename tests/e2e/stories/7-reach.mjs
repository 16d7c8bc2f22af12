// A computer behind a NAT carries the call: whoever can reach it does, and whoever cannot is served by the server.

import assert from 'node:assert/strict';

import { Baton } from '../rig/baton.mjs';
import { chromiumIn } from '../rig/browsers.mjs';
import { Computer } from '../rig/computer.mjs';
import { NET, homeOf } from '../rig/homes.mjs';
import { returned, startRelay } from '../rig/relay.mjs';
import { Router } from '../rig/router.mjs';
import { story } from '../rig/story.mjs';
import { until } from '../rig/wait.mjs';

const SECRET = 'a secret of the stories, long enough';
const EVERYWHERE = { BATON_HTTP: '[::]:0', BATON_MEDIA: '[::]:0', BATON_SECRET: SECRET, BATON_HOSTING: 'central' };
/** Pictures are 30 a second; one of the people is a browser, on two processors. */
const FPS = 10;
const ADMIN = Baton.admission(SECRET);
const WITHIN = 15_000;

/** A room of people at home. */
class Party {
  #lab;
  #url;
  #room;
  people = new Map();

  constructor(lab, url) {
    this.#lab = lab;
    this.#url = url;
    this.#room = lab.room();
  }

  /** Somebody with the native client; `offers` their computer, and reaches the service at `url`. */
  come(name, { offers = false, url = this.#url, home = name } = {}) {
    const invite = `${url}/r/${this.#room}?token=${Baton.invitation(SECRET, this.#room, ['--moderator'])}`;
    this.people.set(name, Computer[offers ? 'join' : 'visit'](this.#lab, invite, name, { space: homeOf(home) }));
  }

  /** Somebody with a browser. */
  async open(name) {
    this.#lab.browser(name, () => chromiumIn(homeOf(name), this.#url));
    const token = Baton.invitation(SECRET, this.#room, ['--moderator']);
    const words = new URLSearchParams({ name, token, quality: 'low' });
    this.people.set(name, await this.#lab.open(name, name, `${this.#url}/r/${this.#room}?${words}&join`, { viewport: { width: 900, height: 600 } }));
  }

  /** What signaling says of who carries the call. */
  async #hosting(order = null) {
    const headers = { authorization: `Bearer ${ADMIN}`, 'content-type': 'application/json' };
    const how = order ? { method: 'POST', body: JSON.stringify(order) } : {};
    const response = await fetch(`${this.#url}/api/v1/rooms/${this.#room}/hosting`, { headers, ...how });
    assert.ok(response.ok, `${response.status} ${response.statusText}`);
    return order ? null : response.json();
  }

  /** Moves the call to somebody's computer; gives what came of it, as signaling tells it. */
  async pass(owner) {
    const witness = this.people.get(owner);
    const isTheirs = ({ name }) => name === `${owner}'s computer`;
    const { host } = await until(`${owner}'s computer is offered`, 10_000, () => witness.hosting?.candidates.map(({ seat }) => seat).find(isTheirs));
    const started = Date.now();
    const before = witness.hostings;
    await this.#hosting({ action: 'pass', host });
    await until(`it is decided about ${owner}'s computer`, 20_000, () => witness.hostings > before + 1 && !witness.hosting.moving);
    const change = (await this.#hosting()).changes.at(-1);
    this.#lab.note(`${owner}'s computer: ${JSON.stringify(change)} after ${Date.now() - started} ms`);
    return change;
  }

  /** Waits until everybody is served where they shall be: by the computer itself, or by the server. */
  async served(isDirect) {
    for (const [name, direct] of Object.entries(isDirect)) {
      const person = this.people.get(name);
      const place = async () => {
        if (person instanceof Computer) return person.hosting && { mine: person.hosting.mine, host: person.hosting.term.host, moving: person.hosting.moving };
        const { mine, host, moving } = await person.report();
        return { mine, host: host.id, moving };
      };
      let seen = null;
      await until(`${name} is served ${direct ? 'directly' : 'by the server'}`, 20_000, async () => {
        seen = await place();
        return seen && !seen.moving && (seen.mine === seen.host) === direct;
      }, () => JSON.stringify(seen));
    }
  }

  /** Everybody sees everybody else. */
  async sees() {
    const people = [...this.people.values()];
    const pairs = people.flatMap((one) => people.filter((other) => other !== one).map((other) => [one, other]));
    await Promise.all(pairs.map(([one, other]) => one.sees(other, { fps: FPS, within: WITHIN })));
  }
}

story('behind NATs of every kind everybody sees everybody, directly or through the server', async (lab) => {
  const baton = await lab.baton([], EVERYWHERE);
  const port = baton.port('http');
  const party = new Party(lab, `http://${NET.v4}:${port}`);
  for (const name of ['Ana', 'Ben', 'Dan']) party.come(name, { offers: true });
  party.come('Cleo');
  await party.sees();

  // Whoever keeps one port for all gets through to one who lets in whom they have written to.
  assert.equal((await party.pass('Ana')).moved, true);
  await party.served({ Ana: true, Ben: true, Cleo: true, Dan: false });
  await party.sees();
  // So it is for those who come only now.
  party.come('Fay', { home: 'Dan' });
  await party.open('Eve');
  await party.served({ Fay: false, Eve: false });
  await party.sees();
  const { connection } = await party.people.get('Eve').report();
  assert.equal(connection.path.protocol, 'tcp', 'Eve has no UDP');
  // Everybody who has UDP gets through to one who lets in everybody.
  assert.equal((await party.pass('Ben')).moved, true);
  await party.served({ Ana: true, Ben: true, Cleo: true, Dan: true, Fay: true, Eve: false });
  await party.sees();
  // One whose port is another for each is reached by few, so nothing changes.
  const { moved, why } = await party.pass('Dan');
  assert.equal(moved, false, why);
  assert.match(why, /cannot reach|could not connect/);
  await party.served({ Ana: true, Ben: true, Cleo: true, Dan: true, Fay: true, Eve: false });
  await party.sees();
}, { homes: { Ana: 'restricted', Ben: 'cone', Cleo: 'restricted', Dan: 'symmetric', Eve: 'blocked' } });

story('a computer that has IPv6 only carries the call, and who has IPv4 only is served by the server and misses nothing', async (lab) => {
  const baton = await lab.baton([], { ...EVERYWHERE, BATON_HOSTING_RULES: 'retry=3' });
  const port = baton.port('http');
  const party = new Party(lab, `http://[${NET.v6}]:${port}`);
  party.come('Ana', { offers: true });
  party.come('Ben');
  party.come('Cleo', { url: `http://${NET.v4}:${port}` });
  await party.sees();
  assert.equal((await party.pass('Ana')).moved, true);
  await party.served({ Ana: true, Ben: true, Cleo: false });
  await party.sees();
  // She tries now and then whether there is a way by now; pictures go on, hers and those that she sees.
  const [ana, , cleo] = [...party.people.values()];
  const marks = [ana, cleo].map((person) => person.mark());
  const places = () => cleo.placesSince(marks[1]);
  await until('Cleo has tried again, in vain', 20_000, () => places().includes('computer') && places().at(-1) === 'server', places);
  for (const [index, [viewer, other]] of [[ana, cleo], [cleo, ana]].entries()) {
    const rates = await viewer.ratesSince(marks[index], other);
    assert.ok(rates.length > 3 && rates.every((fps) => fps >= FPS), `${viewer.name} saw ${other.name} at ${rates}`);
  }
}, { homes: { Ana: 'six', Ben: 'six', Cleo: 'restricted' } });

story('a computer asks its router for a way in, everybody reaches it there, and when it stops the way is closed', async (lab) => {
  const baton = await lab.baton([], EVERYWHERE);
  const party = new Party(lab, `http://${NET.v4}:${baton.port('http')}`);
  const routers = { Ana: await Router.lend(lab, 'Ana', { upnp: false }), Ben: await Router.lend(lab, 'Ben', { upnp: true }) };
  for (const name of ['Ana', 'Ben']) party.come(name, { offers: true });
  party.come('Cleo');
  const computers = ['Ana', 'Ben'].map((name) => party.people.get(name));
  for (const [index, by] of ['pcp', 'upnp'].entries()) {
    const { name } = computers[index];
    const opened = await until(`${name}'s router lets others in`, 15_000, () => computers[index].last('opened'));
    lab.note(`${name}: ${JSON.stringify(opened)}`);
    assert.equal(opened.by, by);
    assert.equal(routers[name].lent.length, 1, routers[name].lent.join());
  }
  // Both routers take another port for each destination: without that way nobody would get through.
  assert.equal((await party.pass('Ana')).moved, true);
  await party.served({ Ana: true, Ben: true, Cleo: true });
  await party.sees();
  await Promise.all(computers.map((computer) => computer.stop()));
  for (const [name, router] of Object.entries(routers)) assert.deepEqual(router.lent, [], `${name}'s router has its port back`);
}, { homes: { Ana: 'lending', Ben: 'lending', Cleo: 'restricted' } });

story('with a relay outside, a computer behind the worst NAT is reached by everybody, also without UDP', async (lab) => {
  const baton = await lab.baton([], { ...EVERYWHERE, ...await startRelay(lab) });
  const party = new Party(lab, `http://${NET.v4}:${baton.port('http')}`);
  party.come('Ana', { offers: true });
  for (const name of ['Ben', 'Cleo']) party.come(name);
  await party.open('Eve');
  await party.sees();
  assert.equal((await party.pass('Ana')).moved, true);
  await party.served({ Ana: true, Ben: true, Cleo: true, Eve: true });
  await party.sees();
}, { homes: { Ana: 'symmetric', Ben: 'restricted', Cleo: 'symmetric', Eve: 'blocked' } });

/** Ana's computer, which has an address at a relay, carries the call of Ben and Fay; gives the call and Fay's path. */
async function carriedWithRelay(lab) {
  const baton = await lab.baton([], { ...EVERYWHERE, ...await startRelay(lab) });
  const party = new Party(lab, `http://${NET.v4}:${baton.port('http')}`);
  party.come('Ana', { offers: true });
  party.come('Ben');
  await party.open('Fay');
  await party.sees();
  assert.equal((await party.pass('Ana')).moved, true);
  await party.served({ Ana: true, Ben: true, Fay: true });
  await party.sees();
  const { connection } = await party.people.get('Fay').report();
  lab.note(`Fay's path: ${JSON.stringify(connection.path)}`);
  return { party, path: connection.path };
}

story('guests who get no relay of their own are reached by that of the computer, behind the worst NATs on both sides', async (lab) => {
  const { party, path } = await carriedWithRelay(lab);
  assert.equal(path.remote, 'relay', 'Fay is served by the computer, by way of its relay');
  assert.notEqual(path.local, 'relay', 'and not by one of her own');
  await party.people.get('Ana').stop();
  await until('the relay has an address back by which pictures went', 5000, () => Math.max(...returned(lab)) > 100_000, () => returned(lab).join());
}, { homes: { Ana: 'symmetric', Ben: 'narrow', Fay: 'narrow' } });

story('where a computer with a relay is reached directly too, only checks go by the relay', async (lab) => {
  // Her NAT shows her under one address to both, so each check has to be answered from where it came to.
  const { party, path } = await carriedWithRelay(lab);
  assert.notEqual(path.remote, 'relay');
  assert.notEqual(path.local, 'relay');
  const before = returned(lab).length;
  await party.people.get('Ana').stop();
  const passed = await until('the relay has its address back', 5000, () => returned(lab).length > before && returned(lab));
  assert.ok(Math.max(...passed) < 20_000, `${passed} bytes went by the relay, more than checks`);
}, { homes: { Ana: 'restricted', Ben: 'restricted', Fay: 'restricted' } });
