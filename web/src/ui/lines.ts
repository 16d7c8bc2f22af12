// What people read of a line that does badly.

import type { CallState, ParticipantInfo } from '../sdk/index.ts';
import { t } from './i18n/t.svelte.ts';

/** One's own trouble says where it is; of others it is enough that it is theirs. Null where all is well. */
export function slowLine({ lines, me }: Pick<CallState, 'lines' | 'me'>, person: Pick<ParticipantInfo, 'id' | 'name'>): string | null {
  const line = lines.get(person.id);
  if (!line || line.score === 'good') return null;
  return person.id === me ? t(`line_${line.cause}`) : t('line_theirs', { name: person.name });
}
