// Plays the audio slots of a leg. Owns: audio elements, the output device, whether the browser refuses to play.
// Does not own: who speaks (the slot's CSRC says so).

import type { Leg, Slot } from './leg.ts';
import type { ParticipantId } from './protocol.gen.ts';

export class Loudspeaker {
  readonly #players = new Map<Slot, HTMLAudioElement>();
  readonly #changed: () => void;
  #sink = '';
  #refused = false;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** The browser wants a click before there is sound. */
  get isRefused(): boolean {
    return this.#refused;
  }

  /** `isAudible`: a leg that waits for its time plays silently, so that its voices are at hand. */
  play(leg: Leg, isAudible: boolean): void {
    for (const slot of leg.audioSlots) {
      const known = this.#players.get(slot);
      if (known) {
        known.muted = !isAudible;
        // Some browsers pause what is not silent any more.
        if (known.paused) this.#start(known);
        continue;
      }
      const player = document.createElement('audio');
      player.autoplay = true;
      player.srcObject = slot.stream;
      player.hidden = true;
      player.muted = !isAudible;
      document.body.append(player);
      this.#players.set(slot, player);
      if (this.#sink) void player.setSinkId?.(this.#sink).catch(() => {});
      this.#start(player);
    }
  }

  stop(leg: Leg): void {
    for (const slot of leg.audioSlots) {
      const player = this.#players.get(slot);
      if (player) player.srcObject = null;
      player?.remove();
      this.#players.delete(slot);
    }
  }

  /** To be called from a click. */
  resume(): void {
    this.#refused = false;
    for (const player of this.#players.values()) this.#start(player);
    this.#changed();
  }

  setSink(deviceId: string): void {
    this.#sink = deviceId;
    for (const player of this.#players.values()) void player.setSinkId?.(deviceId).catch(() => {});
  }

  #start(player: HTMLAudioElement): void {
    player.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      this.#refused = true;
      this.#changed();
    });
  }
}

export interface Voice {
  readonly participant: ParticipantId;
  /** 0 to 1; null where the browser does not say. */
  readonly level: number | null;
  /** Of the last packet, by the browser's clock for it. */
  readonly stamp: number;
  readonly slot: Slot;
}

/** A source that has been quiet for so long is no longer in the slot. */
const RECENT_MS = 1000;

/** Whose voice each audio slot carries now. */
export function voices(leg: Leg): Voice[] {
  return leg.audioSlots.flatMap((slot) => {
    const { receiver } = slot.transceiver;
    const [newest] = receiver.getContributingSources().toSorted((a, b) => b.timestamp - a.timestamp);
    if (!newest) return [];
    const [stream] = receiver.getSynchronizationSources();
    const level = stream && newest.timestamp > stream.timestamp - RECENT_MS ? (stream.audioLevel ?? null) : 0;
    return [{ participant: newest.source, level, stamp: stream?.timestamp ?? newest.timestamp, slot }];
  });
}
