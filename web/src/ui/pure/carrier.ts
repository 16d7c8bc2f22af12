// Who carries the call, in what people are told. Pure.

import type { CallState, CandidateInfo, HostSeat, HostTerm, ParticipantId } from '../../sdk/index.ts';

/** On whose computer the call is, or where it is going. `name`: of the server, the person, the computer. */
export type Carrier =
  | { readonly is: 'server'; readonly name: string }
  | { readonly is: 'computer'; readonly name: string; readonly owner: ParticipantId | null }
  | { readonly is: 'moving'; readonly name: string; readonly toServer: boolean };

type Known = Pick<CallState, 'host' | 'hosting' | 'standIn' | 'participants'>;

/** Null until it is known. */
export function carrierOf({ host, hosting, standIn, participants }: Known): Carrier | null {
  if (standIn) return sitting(standIn, standIn.owner, participants);
  const to = hosting?.moving?.to;
  if (to) return { is: 'moving', name: to.name, toServer: to.kind === 'central' };
  return host && sitting(host, hosting?.owner, participants);
}

function sitting({ kind, name }: HostTerm | HostSeat, owner: ParticipantId | undefined, participants: Known['participants']): Carrier {
  if (kind === 'central') return { is: 'server', name };
  const person = participants.find(({ id }) => id === owner);
  return { is: 'computer', name: person?.name ?? name, owner: owner ?? null };
}

/** One line of the list of computers. */
export interface Choice {
  readonly candidate: CandidateInfo;
  readonly isCarrying: boolean;
  /** May this person press the button, and would it do something? */
  readonly isPossible: boolean;
}

type Asking = Pick<CallState, 'hosting' | 'grants' | 'me'>;

export function choicesOf({ hosting, grants, me }: Asking): Choice[] {
  return (hosting?.candidates ?? []).map((candidate) => {
    const { seat } = candidate;
    const isCarrying = hosting?.term.host === seat.host;
    const may = grants?.moderate === true || (grants?.host === true && seat.owner === me);
    return { candidate, isCarrying, isPossible: may && !isCarrying && hosting?.moving?.to.host !== seat.host };
  });
}

/** May this person send the call back to the server, or stop a move? */
export function mayReturn({ hosting, grants }: Asking): boolean {
  return (grants?.moderate === true || grants?.host === true) && (hosting?.term.kind === 'participant' || hosting?.moving !== undefined);
}
