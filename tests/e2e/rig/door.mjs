// A TCP door: passes connections on to a port, of this machine if nothing else is said, and can be slammed while people are in it.

import { connect, createServer } from 'node:net';
import { once } from 'node:events';

export class Door {
  #server;
  #inside = new Set();
  #isOpen = true;

  static async open(port, host = '127.0.0.1') {
    const door = new Door(port, host);
    door.#server.listen(0, '127.0.0.1');
    await once(door.#server, 'listening');
    return door;
  }

  constructor(port, host) {
    this.#server = createServer((visitor) => {
      if (!this.#isOpen) {
        visitor.destroy();
        return;
      }
      const room = connect(port, host);
      for (const [one, other] of [[visitor, room], [room, visitor]]) {
        this.#inside.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#inside.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  get port() {
    return this.#server.address().port;
  }

  get url() {
    return `http://localhost:${this.port}`;
  }

  /** Breaks every connection. Until `mend`, nobody gets in either. */
  slam() {
    this.#isOpen = false;
    for (const socket of this.#inside) socket.destroy();
  }

  mend() {
    this.#isOpen = true;
  }

  close() {
    this.slam();
    this.#server.close();
  }
}
