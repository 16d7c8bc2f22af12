// One process of Baton: starts it on free ports, knows where it listens, keeps its log.

import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { until } from './wait.mjs';

export const repository = fileURLToPath(new URL('../../../', import.meta.url));
/** What is the stories' own, and looks like a misspelt setting of Baton. */
const OURS = { BATON_LONG: undefined };
const binary = process.env.BATON_BIN ?? `${process.env.CARGO_TARGET_DIR ?? `${repository}target`}/debug/baton`;
/** The native client that was built beside it. */
export const client = `${dirname(binary)}/baton-client`;
const READY_MS = 15_000;

export class Baton {
  #child;
  #ready;
  #log;

  /** Starts `baton-client host --standalone ...words --json` on free ports; `folder` is for log and certificate. */
  static standalone(folder, words) {
    const own = ['host', '--standalone', '--port', '0', '--media-port', '0', '--certificate', `${folder}/certificate.pem`];
    return Baton.start(`${folder}/laptop.log`, [...own, ...words], {}, { program: client });
  }

  /** Starts `baton ...words --json`; `addresses` overrides the free ports, `space` is a network namespace to start it in. */
  static async start(log, words = [], addresses = {}, { space = null, program = binary } = {}) {
    const env = {
      ...process.env, ...OURS, BATON_HTTP: '127.0.0.1:0', BATON_MEDIA: '127.0.0.1:0', BATON_ADMIN: '127.0.0.1:0', RUST_BACKTRACE: '1', ...addresses,
    };
    const command = [...(space ? ['ip', 'netns', 'exec', space] : []), program, ...words, '--json'];
    const child = spawn(command[0], command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log);
    child.stderr.pipe(file);
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`baton said nothing for ${READY_MS} ms, see ${log}`)), READY_MS);
      child.once('error', (error) => reject(new Error(`cannot start ${program}: ${error.message}; build it with cargo build --workspace --bins`)));
      child.once('exit', (code, signal) => reject(new Error(`baton ${words.join(' ')} ended at once (${code ?? signal}), see ${log}`)));
      lines.once('line', (line) => {
        clearTimeout(timer);
        resolve(JSON.parse(line));
      });
    });
    return new Baton(child, await ready, log);
  }

  /** An invitation to a room, for a service that was started with this secret; `words` are more flags of `baton token`. */
  static invitation(secret, room, words = []) {
    return execFileSync(binary, ['token', '--room', room, ...words], { env: { ...process.env, ...OURS, BATON_SECRET: secret }, encoding: 'utf8' })
      .split('\n').map((line) => line.match(/[\w-]+\.[\w-]+\.[\w-]+/)?.[0]).find(Boolean);
  }

  /** A token for the REST interface of such a service. */
  static admission(secret) {
    const now = Math.floor(Date.now() / 1000);
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const said = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'story', aud: 'baton', admin: true, iat: now, nbf: now, exp: now + 3600 })}`;
    return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`;
  }

  constructor(child, ready, log) {
    this.#child = child;
    this.#ready = ready;
    this.#log = log;
  }

  /** What it said when it was ready. */
  get ready() {
    return this.#ready;
  }

  get pid() {
    return this.#child.pid;
  }

  /** `host:port` of a listener: http, media or admin. */
  address(listener) {
    const value = [this.#ready[listener]].flat()[0];
    if (!value) throw new Error(`baton did not say where ${listener} listens: ${JSON.stringify(this.#ready)}`);
    return String(value).replace(/^\w+:\/\//, '').replace(/\/$/, '');
  }

  port(listener) {
    return Number(this.address(listener).split(':').at(-1));
  }

  /** The number that signaling knows this host by, once it is linked. */
  hostNumber() {
    const look = () => readFileSync(this.#log, 'utf8').replaceAll(/\u001B\[\d*m/g, '').match(/accepted this host host=h?(\d+)/)?.[1];
    return until('the host is linked', 5000, look).then(Number);
  }

  /** The page by a name that browsers trust with cameras. */
  get url() {
    return `http://localhost:${this.port('http')}`;
  }

  /** Metrics as a map of `name{labels}` to number; `host` is where it is reached if not at the address that it listens on. */
  async metrics(host = null) {
    const address = host === null ? this.address('admin') : `${host}:${this.port('admin')}`;
    const text = await (await fetch(`http://${address}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
  }

  /** Ends the process; `signal` as for kill(1). */
  async stop(signal = 'SIGTERM') {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
  }
}
