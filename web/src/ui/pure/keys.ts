// Which key does what. Pure.

export type Action = 'microphone' | 'camera' | 'screen' | 'chat';

export interface KeyLike {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
  readonly repeat: boolean;
}

const SINGLE: Readonly<Record<string, Action>> = { m: 'microphone', v: 'camera', s: 'screen', c: 'chat' };
const WITH_COMMAND: Readonly<Record<string, Action>> = { d: 'microphone', e: 'camera' };

/** What a key asks for. Single keys count only where nothing is being typed and the person has not switched them off. */
export function actionOf(event: KeyLike, isTyping: boolean, singleKeys: boolean): Action | null {
  if (event.repeat || event.altKey || event.shiftKey) return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) return WITH_COMMAND[key] ?? null;
  return isTyping || !singleKeys ? null : (SINGLE[key] ?? null);
}
