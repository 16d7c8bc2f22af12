import { describe, expect, test } from 'vitest';
import { pathFor, readInvitation } from './invite.ts';

const CODE = 'k7f2m9qxw4hbd3ta';
const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln';
const DIGEST = '0f'.repeat(32);
const SHOWN = Array.from({ length: 32 }, () => '0F').join(':');

describe('the link for others', () => {
  test('a guest passes on the code and the certificate', () => {
    const given = readInvitation(`?token=${CODE}&name=Ana&join`, `#sha256=${DIGEST}`);
    expect(given).toEqual({ token: CODE, code: CODE, certificate: SHOWN });
    expect(pathFor('call', given)).toBe(`/r/call?token=${CODE}#sha256=${DIGEST}`);
  });

  test('the owner passes on the code and never the own token', () => {
    const given = readInvitation(`?token=${TOKEN}`, `#invite=${CODE}&sha256=${DIGEST}`);
    expect(given.token).toBe(TOKEN);
    expect(pathFor('call', given)).toBe(`/r/call?token=${CODE}#sha256=${DIGEST}`);
  });

  test.each([
    ['', ''],
    [`?token=${TOKEN}`, ''],
    [`?token=${TOKEN}`, '#invite=%22%3E&sha256=0f'],
    ['?name=Ana', '#top'],
  ])('%j %j has nothing to pass on but the room', (search, hash) => {
    const given = readInvitation(search, hash);
    expect(given).toMatchObject({ code: null, certificate: null });
    expect(pathFor('tea', given)).toBe('/r/tea');
  });
});
