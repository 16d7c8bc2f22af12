// One story's world: its processes, browsers and people, and the evidence when it goes wrong.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

import { Baton, repository } from './baton.mjs';
import { browsers } from './browsers.mjs';
import { Door } from './door.mjs';
import { Line } from './line.mjs';
import { Person } from './person.mjs';

const LARGE = { width: 1280, height: 800 };
const SMALL = { width: 900, height: 600 };

export class Lab {
  #browsers = new Map();
  #people = [];
  #closing = [];
  #rooms = 0;
  #processes = 0;
  #started = Date.now();
  #timeline = [];

  constructor(name) {
    this.folder = `${repository}tests/out/${name.replaceAll(/[^a-zA-Z0-9]+/g, '-').slice(0, 80)}`;
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
  }

  /** Starts Baton; `words` are its subcommand and flags, `space` a network namespace to start it in. */
  async baton(words = [], addresses = {}, space = null) {
    this.#processes += 1;
    const baton = await Baton.start(`${this.folder}/baton-${this.#processes}.log`, words, addresses, { space });
    this.#closing.push(() => baton.stop());
    this.note(`baton ${words.join(' ')} is up`);
    return baton;
  }

  /** Starts a laptop that carries a call alone; `words` are its flags. */
  async laptop(words = []) {
    const laptop = await Baton.standalone(this.folder, words);
    this.#closing.push(() => laptop.stop());
    this.note(`a laptop carries ${laptop.ready.room}`);
    return laptop;
  }

  /** A TCP door in front of an address that can be slammed. */
  async door(port, host) {
    const door = await Door.open(port, host);
    this.#closing.push(() => door.close());
    return door;
  }

  /** The line under this story's namespace; only for stories with `needsLine`. */
  line(baton) {
    return new Line(baton.port('media'));
  }

  /** A name for a room that no other story uses. */
  room() {
    this.#rooms += 1;
    return `story-${process.pid}-${this.#rooms}`;
  }

  /**
   * Somebody opens the invite and is in the call without a click. `small`: in a small window, with a small camera; two processors have no
   * time for two browsers that encode and show more.
   */
  async join(name, browser, url, room, { small = false, viewport = small ? SMALL : LARGE, query = {} } = {}) {
    const words = new URLSearchParams({ name, ...(small ? { quality: 'low' } : {}), ...query });
    return this.open(name, browser, `${url}/r/${room}?${words}&join`, { viewport });
  }

  /** Somebody opens a page. */
  async open(name, browser, url, { viewport = LARGE, before } = {}) {
    const said = [];
    const log = (text) => said.push(`${Date.now() - this.#started} ${text}`);
    const page = await (await this.#browser(browser)).open(url, { viewport, before, log });
    const person = new Person(name, page);
    person.said = said;
    this.#people.push(person);
    this.note(`${name} opened ${url} in ${browser}`);
    if (/\/r\/.*[?&]join/.test(url)) await this.#enters(person);
    return person;
  }

  /** Waits for the browser's own part, its devices. A browser that never gives them (seen once in hundreds) loads the page once more. */
  async #enters(person) {
    try {
      await person.isEntering(10_000);
    } catch {
      console.log(`        ${person.name}'s browser gave no devices, loads again: ${(await person.shows()).replaceAll(/\s+/g, ' ')}`);
      this.note(`${person.name} loads the page again`);
      await person.reload();
      await person.isEntering(10_000);
    }
  }

  /** Somebody closes the tab. */
  async gone(person) {
    this.#people = this.#people.filter((other) => other !== person);
    await person.close();
    this.note(`${person.name} closed the tab`);
  }

  onClose(work) {
    this.#closing.push(work);
  }

  note(text) {
    this.#timeline.push(`${String(Date.now() - this.#started).padStart(6)} ms  ${text}`);
  }

  /** A figure that the story is about: told whether it is good or not, above the line that says how the story ended. */
  figure(text) {
    this.note(text);
    console.log(`        ${text}`);
  }

  /** Screenshots, last reports, consoles and the timeline; returns the folder. */
  async keepEvidence() {
    const keep = (name, text) => writeFileSync(`${this.folder}/${name}`, text);
    keep('timeline.txt', `${this.#timeline.join('\n')}\n`);
    for (const person of this.#people) {
      keep(`${person.name}.console.txt`, `${person.said.join('\n')}\n`);
      keep(`${person.name}.report.json`, JSON.stringify(await person.report().catch(() => person.lastReport), null, 2));
      await person.screenshot(`${this.folder}/${person.name}.png`).catch(() => {});
    }
    return this.folder;
  }

  async close() {
    for (const browser of this.#browsers.values()) await (await browser).close().catch(() => {});
    for (const work of this.#closing.toReversed()) await work();
  }

  /** Makes a kind of browser known, by what starts it. */
  browser(kind, start) {
    if (!this.#browsers.has(kind)) this.#browsers.set(kind, start());
  }

  #browser(kind) {
    if (!this.#browsers.has(kind)) this.#browsers.set(kind, browsers[kind]());
    return this.#browsers.get(kind);
  }
}
