// Looks up the words of the page in the person's language.

import { de } from './de.ts';
import { type Catalogue, en } from './en.ts';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;
export type Key = keyof Catalogue;
type Stem<K> = K extends `${infer S}_other` ? S : never;
/** Keys that have plural forms. */
export type PluralKey = Stem<Key>;
type Values = Readonly<Record<string, string | number>>;

const CATALOGUES: Readonly<Record<Language, Catalogue>> = { en, de };

export const isLanguage = (text: string): text is Language => Object.hasOwn(LANGUAGES, text);

/** The first of the person's languages that there is. */
export function bestLanguage(wanted: readonly string[]): Language {
  return wanted.map((tag) => tag.split('-')[0]?.toLowerCase() ?? '').find(isLanguage) ?? 'en';
}

let language = $state<Language>('en');

export function setLanguage(next: Language): void {
  language = next;
  if (typeof document !== 'undefined') document.documentElement.lang = next;
}

function fill(text: string, values: Values): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function t(key: Key, values: Values = {}): string {
  return fill(CATALOGUES[language][key], values);
}

/** As {@link t}, with the plural form that `count` needs. */
export function tn(key: PluralKey, count: number, values: Values = {}): string {
  const form = new Intl.PluralRules(language).select(count) === 'one' ? 'one' : 'other';
  return fill(CATALOGUES[language][`${key}_${form}`], { count, ...values });
}
