// Names of rooms. Pure.

const FIRST = ['amber', 'blue', 'brisk', 'calm', 'clear', 'coral', 'early', 'fair', 'golden', 'green', 'kind', 'light', 'lucky', 'mellow', 'quiet', 'rapid', 'silver', 'swift', 'warm', 'wild'];
const SECOND = ['alder', 'birch', 'cedar', 'cliff', 'cloud', 'delta', 'field', 'forest', 'garden', 'harbor', 'hill', 'lake', 'maple', 'meadow', 'ocean', 'river', 'shore', 'stone', 'summit', 'valley'];
const THIRD = ['badger', 'bison', 'crane', 'dolphin', 'falcon', 'finch', 'fox', 'hare', 'heron', 'ibis', 'lynx', 'marten', 'otter', 'owl', 'panda', 'raven', 'robin', 'seal', 'swan', 'wren'];
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789';

/** A name nobody guesses: three words for people, eight characters (40 bits) against guessing. `random` fills bytes. */
export function newRoom(random: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>): string {
  const bytes = random(new Uint8Array(11));
  const pick = (list: readonly string[] | string, index: number): string => list[(bytes[index] ?? 0) % list.length] ?? '';
  const words = [pick(FIRST, 0), pick(SECOND, 1), pick(THIRD, 2)];
  const tail = Array.from({ length: 8 }, (_, index) => pick(LETTERS, index + 3)).join('');
  return [...words, tail].join('-');
}

/** The room that a typed code or a pasted link means; null where it cannot be one. */
export function roomFrom(text: string): string | null {
  const typed = text.trim();
  const path = typed.match(/\/r\/([^/?#]+)/)?.[1];
  const name = (path ?? typed).toLowerCase().replaceAll(/\s+/g, '-');
  return /^[a-z0-9_-]{1,64}$/.test(name) ? name : null;
}

/** The room of a page's path. */
export function roomOfPath(path: string): string | null {
  const name = path.match(/^\/r\/([^/]+)\/?$/)?.[1];
  return name === undefined ? null : roomFrom(name);
}

/** Letters for a picture that is not there. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => (word ? [...word][0] : ''));
  return letters.join('').toLocaleUpperCase() || '?';
}
