// What the page remembers between calls, in this browser only.

import { type VideoCodec, isVideoCodec } from '../sdk/index.ts';
import { type Language, bestLanguage, isLanguage } from './i18n/t.svelte.ts';

export type Theme = 'auto' | 'light' | 'dark';

interface Stored {
  name: string;
  cameraId: string;
  microphoneId: string;
  speakerId: string;
  codec: VideoCodec;
  theme: Theme;
  language: Language;
  singleKeys: boolean;
  smallCamera: boolean;
  usesServer: boolean;
  recent: string[];
}

const STORE = 'baton';
const MOST_RECENT = 6;

function read(): Stored {
  let found: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORE) ?? '{}');
    if (typeof value === 'object' && value !== null) found = value as Record<string, unknown>;
  } catch {
    // Storage is switched off or holds something else: start anew.
  }
  const text = (name: string): string => (typeof found[name] === 'string' ? found[name] : '');
  const theme = text('theme');
  const recent = Array.isArray(found['recent']) ? found['recent'].filter((room) => typeof room === 'string') : [];
  return {
    name: text('name'),
    cameraId: text('cameraId'),
    microphoneId: text('microphoneId'),
    speakerId: text('speakerId'),
    codec: isVideoCodec(text('codec')) ? (text('codec') as VideoCodec) : 'vp8',
    theme: theme === 'light' || theme === 'dark' ? theme : 'auto',
    language: isLanguage(text('language')) ? (text('language') as Language) : bestLanguage(navigator.languages),
    singleKeys: found['singleKeys'] !== false,
    smallCamera: found['smallCamera'] === true || new URLSearchParams(location.search).get('quality') === 'low',
    usesServer: found['usesServer'] === true,
    recent: recent.slice(0, MOST_RECENT),
  };
}

export const prefs = $state(read());

export function savePrefs(): void {
  try {
    localStorage.setItem(STORE, JSON.stringify(prefs));
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
}

export function remember(room: string): void {
  prefs.recent = [room, ...prefs.recent.filter((other) => other !== room)].slice(0, MOST_RECENT);
  savePrefs();
}

export function forget(room: string): void {
  prefs.recent = prefs.recent.filter((other) => other !== room);
  savePrefs();
}
