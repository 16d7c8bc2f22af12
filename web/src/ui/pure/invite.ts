// The link people share, and what the one that this page was opened by says. Pure.
//
// A token names a person and is never shared. A computer that carries one call alone gives all its guests one code instead: it stands in
// the place of the token, or for the owner, who has a token, after the # (`#invite=`), with the SHA-256 of the computer's certificate.

export interface Invitation {
  /** Shown to signaling. */
  readonly token: string | undefined;
  /** What others may show: good for this room. */
  readonly code: string | null;
  /** SHA-256 of a certificate that nobody vouches for, as browsers show it. */
  readonly certificate: string | null;
}

const CODE = /^[a-z0-9]{16}$/;
const DIGEST = /^[0-9a-f]{64}$/i;

export function readInvitation(search: string, hash: string): Invitation {
  const token = new URLSearchParams(search).get('token') ?? undefined;
  const rest = new URLSearchParams(hash.replace(/^#/, ''));
  const codes = [token, rest.get('invite')];
  const digest = rest.get('sha256') ?? '';
  return {
    token,
    code: codes.find((code): code is string => typeof code === 'string' && CODE.test(code)) ?? null,
    certificate: DIGEST.test(digest) ? (digest.toUpperCase().match(/../g) ?? []).join(':') : null,
  };
}

/** Path, query and fragment for others. Without a code the room is all there is to tell. */
export function pathFor(room: string, { code, certificate }: Invitation): string {
  const query = code === null ? '' : `?token=${code}`;
  const fragment = certificate === null ? '' : `#sha256=${certificate.replaceAll(':', '').toLowerCase()}`;
  return `/r/${room}${query}${fragment}`;
}
