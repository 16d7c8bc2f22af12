// A bad line: the story runs in a network namespace of its own, and packets to and from the media port are lost there by chance.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { Skip } from './story.mjs';

const runner = fileURLToPath(new URL('../run.mjs', import.meta.url));

/** Tells a story again, by its name, in a namespace that exists as long as it takes. */
export async function inNamespace(name) {
  if (process.getuid() !== 0) throw new Skip('a bad line needs network namespaces: run as root');
  const space = `bt-line-${process.pid}`;
  const ip = (...words) => execFileSync('ip', words, { stdio: 'pipe' });
  ip('netns', 'add', space);
  try {
    ip('-n', space, 'link', 'set', 'lo', 'up');
    ip('-n', space, 'link', 'add', 'home', 'type', 'veth', 'peer', 'name', 'away');
    ip('-n', space, 'addr', 'add', '10.79.0.1/24', 'dev', 'home');
    ip('-n', space, 'link', 'set', 'home', 'up');
    ip('-n', space, 'link', 'set', 'away', 'up');
    ip('-n', space, 'route', 'add', 'default', 'via', '10.79.0.2', 'dev', 'home');
    const child = spawn('ip', ['netns', 'exec', space, process.execPath, runner, '--inside', '--exactly', name], {
      stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, HOME: process.env.HOME ?? '/root' },
    });
    let said = '';
    child.stderr.on('data', (data) => (said += data));
    const [code] = await once(child, 'exit');
    if (code !== 0) throw new Error(said.trim());
  } finally {
    ip('netns', 'del', space);
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
    const rule = (end, percent) => (percent > 0 ? `udp ${end} ${this.#port} numgen random mod 1000 < ${Math.round(percent * 10)} counter drop` : '');
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
