// Homes around a network: each a network namespace behind a router of its own, which is another one. What the router does is the home's kind.

import { execFileSync } from 'node:child_process';

import { CUBIC, Wire } from './world.mjs';

/** The network that the homes are around, as they reach it. Not of the addresses for documentation, which routers refuse as their own. */
export const NET = { v4: '20.20.20.1', v6: '2001:db8::1' };

/** Where a relay outside listens. */
export const RELAY_PORT = 3478;

const firewall = (family, extra = '') => `
table ${family} wall {
  chain through {
    type filter hook forward priority 0; policy accept;
    ${extra}
    iifname "out" ct status dnat accept
    iifname "out" ct state new drop
  }
  chain here {
    type filter hook input priority 0; policy accept;
    iifname "out" meta l4proto udp drop
  }
}
`;
// What comes unasked is dropped before it is remembered: else it would take the port that the home's own packet wants to keep.
const masquerade = (how = '') => `
table ip nat {
  chain leaving {
    type nat hook postrouting priority 100; policy accept;
    oifname "out" masquerade ${how}
  }
}
`;
// Where the router's own server for PCP, NAT-PMP and UPnP writes what it was asked for (`router.mjs`).
const lendable = `
table inet lent {
  chain miniupnpd {
  }
  chain coming_in {
  }
  chain going_out {
  }
  chain coming {
    type nat hook prerouting priority -100; policy accept;
    jump coming_in
  }
}
`;
const open = (address) => `
table ip opening {
  chain coming {
    type nat hook prerouting priority -100; policy accept;
    iifname "out" udp dport 1024-65535 dnat to ${address}
  }
}
`;

/** By kind: the rules of the router, given the address inside. */
const RULES = {
  /** Whoever knows the port gets in (endpoint-independent mapping and filtering). */
  cone: (address) => masquerade() + open(address),
  /** Only whom one has written to gets in (endpoint-independent mapping, address and port dependent filtering). */
  restricted: () => masquerade() + firewall('ip'),
  /** Another port for each destination. */
  symmetric: () => masquerade('fully-random') + firewall('ip'),
  /** Likewise, and nobody inside gets to a relay: others have to offer theirs. */
  narrow: () => masquerade('fully-random') + firewall('ip', `meta l4proto { tcp, udp } th dport ${RELAY_PORT} drop`),
  /** As symmetric, but lends ports to whoever asks. */
  lending: () => masquerade('fully-random') + firewall('ip') + lendable,
  /** No UDP. */
  blocked: () => masquerade() + firewall('ip', 'meta l4proto udp drop'),
  /** IPv6 and nothing else, no NAT, and nobody gets in unasked. */
  six: () => firewall('ip6'),
};

const ip = (...words) => execFileSync('ip', words, { stdio: 'pipe' });
const inside = (space, words, input) => execFileSync('ip', ['netns', 'exec', space, ...words], { input, stdio: ['pipe', 'pipe', 'pipe'] });

/**
 * Builds homes around the namespace `middle`: `kinds` by name. Gives the namespace of each by its name; every namespace that was made is
 * pushed to `made`, and what carries packets with a `delay` (milliseconds each way) to `wires`, to be removed by the caller.
 */
export async function build(middle, kinds, { made, wires, delay }) {
  ip('-n', middle, 'link', 'add', 'net', 'type', 'bridge');
  ip('-n', middle, 'addr', 'add', `${NET.v4}/24`, 'dev', 'net');
  ip('-n', middle, 'addr', 'add', `${NET.v6}/64`, 'dev', 'net', 'nodad');
  ip('-n', middle, 'link', 'set', 'net', 'up');
  const places = {};
  for (const [index, name] of Object.keys(kinds).entries()) {
    places[name] = addHome(middle, kinds[name], index + 10, made);
    if (delay > 0) wires.push(await lengthen(places[name], index, delay));
  }
  return places;
}

/** Puts a long line in the place of the cable between a home and its router. IPv4 only. */
async function lengthen({ home, router, inside: far }, index, delay) {
  ip('-n', router, 'link', 'del', 'in');
  const wire = await Wire.lay(router, home, index, index + 1, { near: far.replace(/2$/, '1'), far, name: 'in' });
  wire.change({ up: { delay }, down: { delay } });
  return wire;
}

function addHome(middle, kind, number, made) {
  const [router, home] = ['router', 'home'].map((what) => `bt-${what}-${process.pid}-${number}`);
  for (const space of [router, home]) {
    ip('netns', 'add', space);
    made.push(space);
    ip('-n', space, 'link', 'set', 'lo', 'up');
  }
  ip('link', 'add', `out${number}`, 'netns', middle, 'type', 'veth', 'peer', 'name', 'out', 'netns', router);
  ip('-n', middle, 'link', 'set', `out${number}`, 'master', 'net', 'up');
  ip('link', 'add', 'in', 'netns', router, 'type', 'veth', 'peer', 'name', 'line', 'netns', home);
  const isSix = kind === 'six';
  const near = isSix ? `2001:db8:${number}::1` : `10.${number}.0.1`;
  const far = isSix ? `2001:db8:${number}::2` : `10.${number}.0.2`;
  const bits = isSix ? 64 : 24;
  const nodad = isSix ? ['nodad'] : [];
  inside(router, ['sysctl', '-qw', isSix ? 'net.ipv6.conf.all.forwarding=1' : 'net.ipv4.ip_forward=1']);
  inside(router, ['nft', '-f', '-'], RULES[kind](far));
  ip('-n', router, 'addr', 'add', `${isSix ? `2001:db8::${number}` : `20.20.20.${number}`}/${bits}`, 'dev', 'out', ...nodad);
  ip('-n', router, 'addr', 'add', `${near}/${bits}`, 'dev', 'in', ...nodad);
  for (const link of ['out', 'in']) ip('-n', router, 'link', 'set', link, 'up');
  ip('-n', home, 'addr', 'add', `${far}/${bits}`, 'dev', 'line', ...nodad);
  ip('-n', home, 'link', 'set', 'line', 'up');
  ip('-n', home, 'route', 'add', 'default', 'via', near, 'dev', 'line', ...CUBIC);
  if (isSix) {
    ip('-n', router, 'route', 'add', 'default', 'via', NET.v6, 'dev', 'out');
    ip('-n', middle, 'route', 'add', `2001:db8:${number}::/64`, 'via', `2001:db8::${number}`, 'dev', 'net');
    inside(middle, ['sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1']);
  }
  return { home, router, inside: far };
}

/** Somebody's home, their router (two namespaces) and the address inside; only in stories with `homes`. */
export const placeOf = (name) => JSON.parse(process.env.BATON_HOMES)[name];

/** The namespace of somebody's home. */
export const homeOf = (name) => placeOf(name).home;
