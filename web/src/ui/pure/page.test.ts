import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { actionOf } from './keys.ts';
import { pieces } from './links.ts';
import { initials, newRoom, roomFrom, roomOfPath } from './room.ts';

describe('links in the chat', () => {
  test('only http and https become links', () => {
    const text = 'see https://a.example/x. or javascript:alert(1) or data:text/html,x http://b.example/?q=1)';
    expect(pieces(text).filter((piece) => piece.href !== null).map((piece) => piece.text)).toEqual(['https://a.example/x', 'http://b.example/?q=1']);
  });

  test('nothing that was said is lost or added', () => {
    const words = fc.array(fc.oneof(fc.string(), fc.webUrl(), fc.constantFrom('https://', 'http://[', ' ', '<script>')));
    fc.assert(fc.property(words, (parts) => {
      const text = parts.join(' ');
      const found = pieces(text);
      expect(found.map((piece) => piece.text).join('')).toBe(text);
      for (const { href } of found) if (href !== null) expect(['http:', 'https:']).toContain(new URL(href).protocol);
    }));
  });
});

describe('rooms', () => {
  test('a new room has a name that rooms may have', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 11, maxLength: 11 }), (bytes) => {
      const room = newRoom((target) => { target.set(bytes); return target; });
      expect(room).toMatch(/^[a-z0-9-]{1,64}$/);
      expect(roomFrom(room)).toBe(room);
    }));
  });

  test.each([
    ['blue-otter', 'blue-otter'],
    [' Blue Otter ', 'blue-otter'],
    ['https://call.example/r/blue-otter?name=Ana', 'blue-otter'],
    ['', null],
    ['bücher', null],
    ['a/b', null],
  ])('%j means %j', (typed, room) => expect(roomFrom(typed)).toBe(room));

  test('only the path of an invite names a room', () => {
    expect(roomOfPath('/r/blue-otter')).toBe('blue-otter');
    expect(roomOfPath('/')).toBeNull();
    expect(roomOfPath('/r/a/b')).toBeNull();
  });

  test.each([['Ana Maria Silva', 'AS'], ['ben', 'B'], ['', '?'], ['🙂', '?'], ['Øyvind (work)', 'Ø']])('%j has the initials %s', (name, letters) => {
    expect(initials(name)).toBe(letters);
  });
});

describe('keys', () => {
  const key = (name: string, held: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey' | 'repeat', boolean>> = {}) =>
    ({ key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, repeat: false, ...held });

  test('single keys work unless something is typed or they are switched off', () => {
    expect(actionOf(key('M'), false, true)).toBe('microphone');
    expect(actionOf(key('m'), true, true)).toBeNull();
    expect(actionOf(key('m'), false, false)).toBeNull();
    expect(actionOf(key('m', { repeat: true }), false, true)).toBeNull();
  });

  test('with Ctrl or Cmd they always work, and the rest of those stays with the browser', () => {
    expect(actionOf(key('d', { ctrlKey: true }), true, false)).toBe('microphone');
    expect(actionOf(key('e', { metaKey: true }), true, false)).toBe('camera');
    expect(actionOf(key('c', { ctrlKey: true }), false, true)).toBeNull();
  });
});
