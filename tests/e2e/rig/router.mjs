// A router that lends ports to whoever asks at home: miniupnpd, in the namespace of the router.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, writeFileSync } from 'node:fs';

import { placeOf } from './homes.mjs';
import { Skip } from './story.mjs';
import { until } from './wait.mjs';

const PROGRAM = '/usr/sbin/miniupnpd';

export class Router {
  #router;

  /** Starts lending at the home of `name`, whose kind is `lending`; `upnp` alone, or PCP and NAT-PMP alone. */
  static async lend(lab, name, { upnp }) {
    if (!existsSync(PROGRAM)) throw new Skip('a router that lends ports needs miniupnpd: apt-get install miniupnpd-nftables');
    const { router, inside } = placeOf(name);
    const network = inside.replace(/\d+$/, '0/24');
    const words = [
      'ext_ifname=out', 'listening_ip=in', `enable_upnp=${upnp ? 'yes' : 'no'}`, `enable_natpmp=${upnp ? 'no' : 'yes'}`, 'secure_mode=yes',
      'upnp_table_name=lent', 'upnp_nat_table_name=lent', 'upnp_forward_chain=miniupnpd', 'upnp_nat_chain=coming_in',
      'upnp_nat_postrouting_chain=going_out', 'uuid=00000000-0000-0000-0000-000000000000',
      `allow 1024-65535 ${network} 1024-65535`, 'deny 0-65535 0.0.0.0/0 0-65535',
    ];
    const file = `${lab.folder}/router-of-${name}`;
    writeFileSync(`${file}.conf`, `${words.join('\n')}\n`);
    const child = spawn('ip', ['netns', 'exec', router, PROGRAM, '-d', '-f', `${file}.conf`, '-P', `${file}.pid`], { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(`${file}.log`);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { log.write(data); said += data; });
    lab.onClose(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill();
      await once(child, 'exit');
    });
    await until(`the router of ${name} lends ports`, 5000, () => /BOOTID|listening/i.test(said), () => said);
    return new Router(router);
  }

  constructor(router) {
    this.#router = router;
  }

  /** The rules for ports that are lent at present. */
  get lent() {
    const rules = execFileSync('ip', ['netns', 'exec', this.#router, 'nft', 'list', 'chain', 'inet', 'lent', 'coming_in'], { encoding: 'utf8' });
    return rules.split('\n').filter((line) => line.includes('dnat'));
  }
}
