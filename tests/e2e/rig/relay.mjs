// A TURN server outside all homes: coturn, which shares a secret with the service.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';

import { NET, RELAY_PORT as PORT } from './homes.mjs';
import { Skip } from './story.mjs';
import { until } from './wait.mjs';

const PROGRAM = '/usr/bin/turnserver';
const SECRET = 'what the relay and the service know';

const listens = () => new Promise((resolve) => {
  const socket = connect(PORT, NET.v4, () => { socket.destroy(); resolve(true); });
  socket.on('error', () => resolve(false));
});

/** The addresses that the relay has back: for each how many bytes it passed on between its owner and others. */
export function returned(lab) {
  const log = readFileSync(`${lab.folder}/relay.log`, 'utf8');
  const sessions = [...log.matchAll(/session (\d+): refreshed,.*lifetime=0\b/g)].map(([, session]) => session);
  return sessions.flatMap((session) => {
    const usage = log.match(new RegExp(`session ${session}: peer usage: .*rb=(\\d+), .*sb=(\\d+)`));
    return usage ? [Number(usage[1]) + Number(usage[2])] : [];
  });
}

/** Starts it; gives the settings with which a service sends its participants there. */
export async function startRelay(lab) {
  if (!existsSync(PROGRAM)) throw new Skip('a relay needs coturn: apt-get install coturn');
  const words = [
    '-n', '--verbose', `--listening-ip=${NET.v4}`, `--relay-ip=${NET.v4}`, `--listening-port=${PORT}`, '--min-port=50000', '--max-port=50200', '--realm=story',
    '--use-auth-secret', `--static-auth-secret=${SECRET}`, '--no-tls', '--no-dtls', '--no-cli', '--log-file=stdout', '--simple-log',
    `--pidfile=${lab.folder}/relay.pid`, `--userdb=${lab.folder}/relay.db`,
  ];
  const child = spawn(PROGRAM, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(`${lab.folder}/relay.log`);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { log.write(data); said += data; });
  lab.onClose(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await until('the relay listens', 5000, listens, () => said);
  const at = `turn:${NET.v4}:${PORT}`;
  return { BATON_TURN_URLS: `${at},${at}?transport=tcp`, BATON_TURN_SECRET: SECRET };
}
