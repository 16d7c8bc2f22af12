import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError, parsePathMessage, parseServiceMessage } from './parse.ts';

const joined = {
  type: 'joined', protocol: 1, room: 'blue', me: 3, resumed: false, resume: 'r', ice_servers: [{ urls: ['stun:a'] }],
  grants: { publish: ['microphone', 'hologram'], subscribe: true, chat: true, moderate: false, host: false, hidden: false },
  host: { epoch: 1, host: 7, kind: 'central', name: 'baton' },
  participants: [{ id: 3, name: 'Ana', connected: true, tracks: [{ id: 9, mid: '1', source: 'camera', layers: [{ rid: 'q', width: 320, height: 180 }] }] }],
};

describe('messages of signaling', () => {
  test('a room is read with what an older service leaves out', () => {
    const message = parseServiceMessage(JSON.stringify(joined));
    if (message.type !== 'joined') throw new Error(message.type);
    expect(message.participants[0]?.tracks[0]).toEqual({
      id: 9, mid: '1', source: 'camera', muted: false, layers: [{ rid: 'q', width: 320, height: 180, max_bitrate: 0 }],
    });
    expect(message.ice_servers).toEqual([{ urls: ['stun:a'] }]);
  });

  test('sources that a newer service knows are left out', () => {
    const message = parseServiceMessage(JSON.stringify(joined));
    expect(message.type === 'joined' && message.grants.publish).toEqual(['microphone']);
  });

  test('servers and credentials are told anew now and then', () => {
    const told = { type: 'ice_servers', ice_servers: [{ urls: ['turn:a'], username: 'u', credential: 'c' }] };
    expect(parseServiceMessage(JSON.stringify(told))).toEqual(told);
  });

  test('a type that a newer service knows is unknown, not an error', () => {
    expect(parseServiceMessage('{"type":"applause","from":3}')).toEqual({ type: 'unknown' });
  });

  test('a known message with a wrong field names the field', () => {
    const bad = JSON.stringify({ ...joined, me: 'three' });
    expect(() => parseServiceMessage(bad)).toThrow(new ParseError('message.me is not a whole number'));
  });

  test.each(['', '[]', 'null', '7', '{"type":5}', '{"type":"chat","from":-1}', '{"type":"answer","leg":1.5}'])('%s is refused', (text) => {
    expect(() => parseServiceMessage(text)).toThrow(ParseError);
  });

  test('no JSON breaks the reader', () => {
    const types = fc.constantFrom('joined', 'answer', 'chat', 'error', 'participant', 'slots', 'speakers');
    fc.assert(fc.property(fc.object(), types, (value, type) => {
      for (const parse of [parseServiceMessage, parsePathMessage]) {
        try {
          parse(JSON.stringify({ ...value, type }));
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }
    }));
  });
});

test('a pause that a newer host knows counts as waiting', () => {
  const text = JSON.stringify({ type: 'slots', slots: [{ slot: '5', track: 1, participant: 2, paused: 'eclipse' }] });
  expect(parsePathMessage(text)).toEqual({ type: 'slots', slots: [{ slot: '5', track: 1, participant: 2, paused: 'waiting' }] });
});
