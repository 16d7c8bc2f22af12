// A bad line: the story runs in a network namespace of its own, and packets to and from the media port are lost there by chance.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { build } from './homes.mjs';
import { Skip } from './story.mjs';

const runner = fileURLToPath(new URL('../run.mjs', import.meta.url));

/** Where a guest lives, and the home router. */
const HOME = '10.79.0.1';
const AWAY = '10.79.0.2';
/** With the eight bytes of UDP's header; a beat of the heart has 90, a packet of sound 130. */
const MEDIA_BYTES = 110;

/**
 * Tells a story again, by its name, in a namespace that exists as long as it takes. `hasGuest`: beside it there is another one for
 * somebody whose line is a cable between the two. `homes`: around it are these, each behind its router (`homes.mjs`), with a line of
 * `delay` milliseconds each way; `driver` is the one where the story itself takes place, if not between them.
 */
export async function inNamespace({ name, needsGuest: hasGuest, homes, delay, driver }, words) {
  if (process.getuid() !== 0) throw new Skip('a bad line needs network namespaces: run as root');
  const space = `bt-line-${process.pid}`;
  const guest = `bt-guest-${process.pid}`;
  const made = [space];
  const wires = [];
  const ip = (...words) => execFileSync('ip', words, { stdio: 'pipe' });
  // An IPv6 address that a cable gives itself arrives a second later, and browsers drop what they are loading when their addresses change.
  const plain = (where, end) => ip('-n', where, 'link', 'set', end, 'addrgenmode', 'none');
  ip('netns', 'add', space);
  try {
    ip('-n', space, 'link', 'set', 'lo', 'up');
    ip('-n', space, 'link', 'add', 'home', 'type', 'veth', 'peer', 'name', 'away');
    plain(space, 'home');
    ip('-n', space, 'addr', 'add', `${HOME}/24`, 'dev', 'home');
    ip('-n', space, 'link', 'set', 'home', 'up');
    if (hasGuest) {
      ip('netns', 'add', guest);
      made.push(guest);
      ip('-n', space, 'link', 'set', 'away', 'netns', guest);
      ip('-n', guest, 'link', 'set', 'lo', 'up');
      plain(guest, 'away');
      ip('-n', guest, 'addr', 'add', `${AWAY}/24`, 'dev', 'away');
      ip('-n', guest, 'link', 'set', 'away', 'up');
      ip('-n', guest, 'route', 'add', 'default', 'via', HOME, 'dev', 'away');
    } else {
      plain(space, 'away');
      ip('-n', space, 'link', 'set', 'away', 'up');
    }
    ip('-n', space, 'route', 'add', 'default', 'via', AWAY, 'dev', 'home');
    const spaces = homes ? await build(space, homes, { made, wires, delay }) : {};
    const env = {
      ...process.env, HOME: process.env.HOME ?? '/root', BATON_GUEST: guest, BATON_HOMES: JSON.stringify(spaces), BATON_MIDDLE: space,
    };
    const where = driver ? spaces[driver].home : space;
    const child = spawn('ip', ['netns', 'exec', where, process.execPath, runner, '--inside', '--exactly', name, ...words], {
      stdio: ['ignore', 'inherit', 'pipe'], env,
    });
    let said = '';
    child.stderr.on('data', (data) => (said += data));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(said.trim());
  } finally {
    for (const wire of wires) await wire.close();
    for (const each of made.toReversed()) ip('netns', 'del', each);
  }
}

/** Somebody at the other end of a cable; only for stories with `needsGuest`. */
export const guest = {
  /** Where the home end listens, as a guest reaches it. */
  home: HOME,

  /** The old address is gone and another one is there: a router that has changed its mind, another network. */
  move(address) {
    const ip = (...words) => execFileSync('ip', ['-n', process.env.BATON_GUEST, ...words], { stdio: 'pipe' });
    ip('addr', 'flush', 'dev', 'away');
    ip('addr', 'add', `${address}/24`, 'dev', 'away');
    ip('route', 'replace', 'default', 'via', HOME, 'dev', 'away');
  },
};

/** The cable to somebody, as seen from there, by default the guest's: it can break in one direction, and tells what is sent. */
export class Cable {
  #space;
  #end;

  #rules(words) {
    execFileSync('ip', ['netns', 'exec', this.#space, 'nft', '-f', '-'], { input: words });
  }

  constructor(space = process.env.BATON_GUEST, end = 'away') {
    this.#space = space;
    this.#end = end;
    // A packet of sound or pictures is longer than everything else that is said while nobody connects.
    this.#rules(`
table inet count {
  chain out {
    type filter hook output priority -10; policy accept;
    oifname "${end}" udp length > ${MEDIA_BYTES} counter
  }
}
`);
  }

  /** From now on nothing gets through: `up` from the guest, `down` to it. */
  cut({ up = false, down = false }) {
    this.#rules(`
table inet cut
delete table inet cut
table inet cut {
  chain out {
    type filter hook output priority 0; policy accept;
    ${up ? `oifname "${this.#end}" drop` : ''}
  }
  chain in {
    type filter hook input priority 0; policy accept;
    ${down ? `iifname "${this.#end}" drop` : ''}
  }
}
`);
  }

  /** It is whole again. */
  mend() {
    this.cut({});
  }

  /** How many packets of media the guest has sent so far, or would have. */
  get sent() {
    const rules = execFileSync('ip', ['netns', 'exec', this.#space, 'nft', 'list', 'table', 'inet', 'count'], { encoding: 'utf8' });
    return Number(rules.match(/counter packets (\d+)/)[1]);
  }
}

/** Loss between participants and the host at one media port. */
export class Line {
  #port;

  constructor(port) {
    this.#port = port;
  }

  /** Loses this percentage of the datagrams towards the host and towards the participants. */
  lose(up, down = up) {
    const chance = (percent) => (percent < 100 ? `numgen random mod 1000 < ${Math.round(percent * 10)}` : '');
    const rule = (end, percent) => (percent > 0 ? `udp ${end} ${this.#port} ${chance(percent)} counter drop` : '');
    const rules = `
table inet bad
delete table inet bad
table inet bad {
  chain in {
    type filter hook input priority 0; policy accept;
    ${rule('dport', up)}
    ${rule('sport', down)}
  }
}
`;
    execFileSync('nft', ['-f', '-'], { input: rules });
  }

  /** How many datagrams were lost, to prove that the line was bad. */
  get lost() {
    const rules = execFileSync('nft', ['list', 'table', 'inet', 'bad'], { encoding: 'utf8' });
    return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }
}
