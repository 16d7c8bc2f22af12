// The socket to signaling. Owns: connecting, joining, coming back with the resume token, noticing a dead line.
// Does not own: what the messages mean, and media, which goes on without it.

import { backoff } from './backoff.ts';
import { Emitter } from './emitter.ts';
import { ParseError, parseServiceMessage } from './parse.ts';
import { type Epoch, PROTOCOL_VERSION, type PeerMessage, type ServiceMessage } from './protocol.gen.ts';

export interface Entrance {
  readonly room: string;
  readonly name: string;
  readonly token?: string | undefined;
}

const PING_MS = 8000;
const SILENCE_MS = 15_000;
/** An answer takes a round trip; a network that has just changed may be slower. */
const PROBE_MS = 700;

export class Signaling extends Emitter<{ message: ServiceMessage; lost: number; up: undefined }> {
  readonly #url: string;
  readonly #entrance: Entrance;
  #socket: WebSocket | null = null;
  #resume: string | null = null;
  /** The newest term that one was told of as who one is. */
  #believed: Epoch | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ping: ReturnType<typeof setInterval> | undefined;
  #heard = 0;
  #nonce = 0;
  #joined = false;
  #over = false;

  constructor(url: string, entrance: Entrance) {
    super();
    this.#url = url;
    this.#entrance = entrance;
    globalThis.addEventListener?.('online', this.#hurry);
  }

  get isJoined(): boolean {
    return this.#joined;
  }

  open(): void {
    clearTimeout(this.#retry);
    if (this.#over) return;
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#heard = performance.now();
    clearInterval(this.#ping);
    this.#ping = setInterval(() => this.#check(socket), PING_MS);
    socket.addEventListener('open', () => {
      const { room, name, token } = this.#entrance;
      const epoch = this.#believed === null ? {} : { epoch: this.#believed };
      const resume = this.#resume === null ? {} : { resume: { token: this.#resume, ...epoch } };
      this.#write({ type: 'join', protocol: PROTOCOL_VERSION, room, name, ...(token !== undefined && { token }), ...resume });
    });
    socket.addEventListener('message', (event: MessageEvent<unknown>) => {
      if (socket === this.#socket && typeof event.data === 'string') this.#read(event.data);
    });
    socket.addEventListener('close', () => {
      if (socket === this.#socket) this.#lose();
    });
  }

  /** Sends a message; false where the socket is away and the message is lost. */
  send(message: PeerMessage): boolean {
    return this.#joined && this.#write(message);
  }

  /** The network may have changed under the socket: asks for a sign of life, and reconnects where none comes. */
  probe(): void {
    const socket = this.#socket;
    if (!this.#joined || !socket) return this.#hurry();
    const asked = performance.now();
    this.#ask();
    setTimeout(() => {
      if (socket === this.#socket && this.#heard < asked) this.#giveUp(socket);
    }, PROBE_MS);
  }

  close(): void {
    this.#over = true;
    globalThis.removeEventListener?.('online', this.#hurry);
    clearTimeout(this.#retry);
    clearInterval(this.#ping);
    const socket = this.#socket;
    this.#socket = null;
    this.#joined = false;
    socket?.close();
  }

  /** The resume token is refused: come back as somebody new. */
  forget(): void {
    this.#resume = null;
  }

  readonly #hurry = (): void => {
    if (this.#joined || this.#over) return;
    this.#attempt = 0;
    this.#socket?.close();
    this.open();
  };

  #write(message: PeerMessage): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #read(text: string): void {
    this.#heard = performance.now();
    let message: ServiceMessage;
    try {
      message = parseServiceMessage(text);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      console.warn('signaling:', error.message);
      return;
    }
    if (message.type === 'joined') {
      this.#resume = message.resume;
      if (!message.resumed) this.#believed = null;
      this.#attempt = 0;
      this.#joined = true;
      this.emit('up', undefined);
    }
    if (message.type === 'hosting') this.#believed = Math.max(this.#believed ?? 0, message.hosting.term.epoch);
    this.emit('message', message);
  }

  /** A line that is half open looks fine until something is asked. */
  #check(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    if (performance.now() - this.#heard < SILENCE_MS) this.#ask();
    else this.#giveUp(socket);
  }

  #ask(): void {
    this.#nonce = (this.#nonce + 1) >>> 0;
    this.send({ type: 'ping', nonce: this.#nonce });
  }

  #giveUp(socket: WebSocket): void {
    this.#socket = null;
    socket.close();
    this.#lose();
  }

  #lose(): void {
    clearInterval(this.#ping);
    this.#joined = false;
    if (this.#over) return;
    this.emit('lost', performance.now());
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.open(), backoff(this.#attempt++, Math.random()));
  }
}
