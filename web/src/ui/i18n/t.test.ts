import { afterEach, expect, test } from 'vitest';
import { de } from './de.ts';
import { en } from './en.ts';
import { bestLanguage, setLanguage, t, tn } from './t.svelte.ts';

afterEach(() => setLanguage('en'));

test('the buttons that programs press keep their English names', () => {
  const names = [en.joinCall, en.muteMicrophone, en.turnOffCamera, en.shareScreen, en.chat, en.leaveCall];
  expect(names).toEqual(['Join call', 'Mute microphone', 'Turn off camera', 'Share screen', 'Chat', 'Leave call']);
});

test('values and plural forms are filled in, in each language', () => {
  expect(t('hostedBy', { name: 'Ana' })).toBe('Hosted by Ana');
  expect([tn('inCall', 1), tn('inCall', 3)]).toEqual(['1 person', '3 people']);
  setLanguage('de');
  expect([tn('inCall', 1), tn('inCall', 3)]).toEqual(['1 Person', '3 Personen']);
});

test('a text that is missing a value shows which', () => {
  expect(t('hostedBy')).toBe('Hosted by {name}');
});

test('translations fill in the same values', () => {
  const values = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map((match) => match[0]).toSorted();
  for (const key of Object.keys(en) as (keyof typeof en)[]) expect(values(de[key]), key).toEqual(values(en[key]));
});

test("the first of a person's languages that there is is taken", () => {
  expect(bestLanguage(['fr-CA', 'de-AT', 'en'])).toBe('de');
  expect(bestLanguage(['xx'])).toBe('en');
});
