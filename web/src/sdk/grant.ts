// Whether a host is who it says it is. Owns: reading and checking grants (JWT, Ed25519). Does not own: asking for them.

import type { HostId, RoomId } from './protocol.gen.ts';
import type { Seat } from './hosting.ts';

/** Says why a host is not believed. */
export class GrantError extends Error {
  override readonly name = 'GrantError';
}

const TYPE = 'baton-grant+jwt';

/** SHA-256 fingerprint of a session description, as in `a=fingerprint`; null where it has none or several that differ. */
export function fingerprintOf(sdp: string): string | null {
  const found = new Set([...sdp.matchAll(/^a=fingerprint:sha-256 ([0-9a-f:]+)\s*$/gim)].map(([, digits = '']) => digits.toUpperCase()));
  const [only] = found;
  return found.size === 1 && only !== undefined ? only : null;
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64url.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  } catch {
    throw new GrantError('the grant is not base64url');
  }
}

function object(base64url: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes(base64url)));
  } catch {
    throw new GrantError('the grant is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new GrantError('the grant is not an object');
  return value as Record<string, unknown>;
}

let saysWhy = true;

/** Verifies the signature; true without looking where the browser cannot (a page that is not secure), which is said once. */
async function isSigned(words: string, signature: Uint8Array<ArrayBuffer>, key: string): Promise<boolean> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  try {
    if (!subtle) throw new DOMException('this page is not secure', 'NotSupportedError');
    const publicKey = await subtle.importKey('raw', bytes(key), { name: 'Ed25519' }, false, ['verify']);
    return await subtle.verify({ name: 'Ed25519' }, publicKey, signature, new TextEncoder().encode(words));
  } catch (error) {
    if (!(error instanceof DOMException) || error.name !== 'NotSupportedError') throw error;
    if (saysWhy) console.warn('signatures of hosts are not checked here:', error.message);
    saysWhy = false;
    return true;
  }
}

/**
 * Throws {@link GrantError} where the host that answered with `sdp` is not the one that signaling made host for this room and epoch.
 * Servers of the operator need no grant; participants' computers do, but for a standby, whose word is signaling's.
 */
export async function checkGrant(seat: Seat, room: RoomId, sdp: string, signingKey: string | null): Promise<void> {
  const { grant, kind, role } = seat;
  if (grant === null) {
    if (kind === 'central' || role === 'standby') return;
    throw new GrantError('the computer that answered shows no grant');
  }
  if (signingKey === null) throw new GrantError('signaling told no key for grants');
  const [header = '', claims = '', signature = '', ...more] = grant.split('.');
  const { alg, typ } = object(header);
  if (more.length > 0 || alg !== 'EdDSA' || typ !== TYPE) throw new GrantError('this is no grant');
  if (!(await isSigned(`${header}.${claims}`, bytes(signature), signingKey))) throw new GrantError('the grant is not signed by signaling');
  const said = object(claims) as { room?: RoomId; epoch?: number; host?: HostId; fingerprint?: string };
  const expected = { room, epoch: seat.epoch, host: seat.host, fingerprint: fingerprintOf(sdp) };
  for (const name of ['room', 'epoch', 'host', 'fingerprint'] as const) {
    if (said[name] !== expected[name]) throw new GrantError(`the grant is for ${name} ${said[name]}, not ${expected[name]}`);
  }
}
