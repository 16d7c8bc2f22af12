// A peer that is not a browser: a Python program that speaks WHIP or WHEP and prints one JSON line when it is done.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { repository } from './baton.mjs';

const peers = fileURLToPath(new URL('../peers/', import.meta.url));
const pythons = {
  aiortc: `${repository}tests/out/venv/bin/python`,
  gstreamer: '/usr/bin/python3', // GStreamer's bindings belong to Debian's Python
};

/** Starts `program` with the Python that has `library`. */
export function startPeer(lab, library, program, words) {
  const child = spawn(pythons[library], [`${peers}${program}`, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (data) => (said += data));
  child.stderr.pipe(createWriteStream(`${lab.folder}/${program}.log`));
  child.on('error', (error) => (said += error.message));
  const gone = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGKILL'), 4000);
    await gone;
    clearTimeout(timer);
  };
  lab.onClose(stop);
  return {
    stop,
    /** What it printed in the end. */
    result: async () => {
      const [code] = await gone;
      if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}; see ${lab.folder}/${program}.log`);
      return JSON.parse(said.trim().split('\n').at(-1));
    },
  };
}
