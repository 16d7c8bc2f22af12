// Why a camera or microphone cannot be had. Pure.

export type Problem = 'insecure' | 'denied' | 'blocked' | 'missing' | 'busy' | 'unfit' | 'unsupported' | 'unknown';

/** Which of the known troubles an error of `getUserMedia` is. */
export function problemOf(error: unknown, secure: boolean): Problem {
  if (!secure) return 'insecure';
  const name = error instanceof Error || error instanceof DOMException ? error.name : '';
  const message = error instanceof Error || error instanceof DOMException ? error.message.toLowerCase() : '';
  switch (name) {
    case 'NotAllowedError':
      return message.includes('policy') ? 'blocked' : 'denied';
    case 'SecurityError':
      return 'blocked';
    case 'NotFoundError':
    case 'DevicesNotFoundError':
      return 'missing';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    case 'OverconstrainedError':
      return 'unfit';
    case 'TypeError':
      return 'unsupported';
    default:
      return 'unknown';
  }
}
