import { describe, expect, test } from 'vitest';
import { checkGrant, fingerprintOf } from './grant.ts';
import type { Seat } from './hosting.ts';

const FINGERPRINT = 'AB:CD:EF';
const SDP = `v=0\r\na=fingerprint:sha-256 ab:cd:ef\r\nm=audio 9\r\na=fingerprint:sha-256 AB:CD:EF\r\n`;
const base64url = (data: Uint8Array | string): string =>
  btoa(typeof data === 'string' ? data : String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
const CLAIMS = { room: 'stand-up', epoch: 4, host: 7, fingerprint: FINGERPRINT, iat: 1, exp: 2 };

const keys = (await crypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify'])) as CryptoKeyPair;
const KEY = base64url(new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey)));

async function grantOf(claims: object, header: object = { alg: 'EdDSA', typ: 'baton-grant+jwt' }): Promise<string> {
  const words = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
  const signature = await crypto.subtle.sign({ name: 'Ed25519' }, keys.privateKey, new TextEncoder().encode(words));
  return `${words}.${base64url(new Uint8Array(signature))}`;
}

const seat = (grant: string | null, change: Partial<Seat> = {}): Seat => ({ host: 7, kind: 'participant', role: 'next', epoch: 4, grant, ...change });
const check = (grant: string | null, change: Partial<Seat> = {}, sdp = SDP, key: string | null = KEY): Promise<void> =>
  checkGrant(seat(grant, change), 'stand-up', sdp, key);

describe('a computer that says it is host', () => {
  test('is believed with a grant of signaling for this room, term, host and certificate', async () => {
    await expect(check(await grantOf(CLAIMS))).resolves.toBeUndefined();
  });

  test('is not believed with a grant for something else', async () => {
    for (const [claims, why] of [
      [{ room: 'other' }, 'room'], [{ epoch: 3 }, 'epoch'], [{ epoch: 5 }, 'epoch'], [{ host: 8 }, 'host'], [{ fingerprint: 'AB:CD:EE' }, 'fingerprint'],
    ] as const) {
      await expect(check(await grantOf({ ...CLAIMS, ...claims })), why).rejects.toThrow(why);
    }
    await expect(check(await grantOf(CLAIMS), {}, 'v=0\r\n'), 'an answer without a fingerprint').rejects.toThrow('fingerprint');
  });

  test('is not believed with a forged or an altered grant', async () => {
    const grant = await grantOf(CLAIMS);
    const [header, , signature] = grant.split('.');
    const altered = `${header}.${base64url(JSON.stringify({ ...CLAIMS, host: 7 }).replace('}', ' }'))}.${signature}`;
    await expect(check(altered)).rejects.toThrow('not signed');
    await expect(check(grant, {}, SDP, base64url(new Uint8Array(32).fill(9)))).rejects.toThrow('not signed');
    await expect(check(await grantOf(CLAIMS, { alg: 'none', typ: 'baton-grant+jwt' }))).rejects.toThrow('no grant');
    await expect(check(await grantOf(CLAIMS, { alg: 'EdDSA', typ: 'baton-ticket+jwt' }))).rejects.toThrow('no grant');
    for (const rubbish of ['', 'a.b.c', `${grant}.x`, '{}.{}.{}']) await expect(check(rubbish), rubbish).rejects.toThrow();
  });

  test("is not believed without one, and the operator's servers are", async () => {
    await expect(check(null)).rejects.toThrow('no grant');
    await expect(check(null, { role: 'mine' })).rejects.toThrow('no grant');
    await expect(check(null, { kind: 'central' })).resolves.toBeUndefined();
    await expect(check(await grantOf(CLAIMS), {}, SDP, null)).rejects.toThrow('no key');
  });
});

test('a session description has one fingerprint or none', () => {
  expect(fingerprintOf(SDP)).toBe(FINGERPRINT);
  expect(fingerprintOf(`${SDP}a=fingerprint:sha-256 00:11\r\n`)).toBeNull();
  expect(fingerprintOf('v=0\r\n')).toBeNull();
});
