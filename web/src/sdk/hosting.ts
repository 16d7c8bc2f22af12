// Who carries the call, as one participant sees it: which legs there shall be, and where the call is to be shown from. Pure.

import type { Epoch, HostId, HostKind, HostSeat, HostTerm, Hosting, ParticipantId } from './protocol.gen.ts';

/** What a host is to a participant. */
export type Role = 'mine' | 'next' | 'standby';

/** A host to which there shall be a leg. */
export interface Seat {
  readonly host: HostId;
  readonly kind: HostKind;
  readonly role: Role;
  /** What offers to it name. */
  readonly epoch: Epoch;
  /** Signed words whose fingerprint is the only one believed; null where none were given. */
  readonly grant: string | null;
}

/** What is believed of a host that falls silent: nothing, that it may be gone, that it is. */
export type Alarm = 'none' | 'suspect' | 'silent';

/** For services that only say who is host. */
export function hostingOf(term: HostTerm): Hosting {
  return { term, mine: term.host, policy: 'central', candidates: [] };
}

/** Does `next` count? What is of an older term does not, whoever sends it. */
export function counts(known: Hosting | null, next: Hosting): boolean {
  return known === null || next.term.epoch >= known.term.epoch;
}

/**
 * The hosts to which there shall be legs, each once. `avoids`: never to another participant's computer, whatever is said; `me` owns
 * the computer that is an exception.
 */
export function seatsOf(hosting: Hosting, avoids = false, me: ParticipantId = 0): Seat[] {
  const { term, mine, moving, standby } = hosting;
  const isTerm = mine === term.host;
  const all: { seat: Seat; owner: ParticipantId | undefined }[] = [{
    seat: {
      host: mine, role: 'mine', epoch: term.epoch,
      kind: isTerm ? term.kind : 'central',
      grant: (isTerm ? hosting.grant : undefined) ?? null,
    },
    owner: isTerm ? hosting.owner : undefined,
  }];
  if (moving) {
    const { to, epoch, grant } = moving;
    all.push({ seat: { host: to.host, kind: to.kind, role: 'next', epoch, grant: grant ?? null }, owner: to.owner });
  }
  if (standby) {
    const { host, kind, owner } = standby;
    all.push({ seat: { host, kind, role: 'standby', epoch: term.epoch, grant: null }, owner });
  }
  const isWelcome = ({ seat, owner }: (typeof all)[number]): boolean => !avoids || seat.kind === 'central' || owner === me;
  const seats = all.filter(isWelcome).map(({ seat }) => seat);
  return seats.filter((seat, index) => seats.findIndex((other) => other.host === seat.host) === index);
}

/** From which of them the call shall be shown, as soon as that can be done. */
export function goalOf(hosting: Hosting, alarm: Alarm): HostId {
  const { moving, standby, mine } = hosting;
  if (alarm !== 'none' && standby) return standby.host;
  return moving?.phase === 'switch' ? moving.to.host : mine;
}

/** The standby, where the call is already shown from it though another host is still said to carry it. */
export function standInOf(hosting: Hosting | null, front: HostId | undefined): HostSeat | null {
  const standby = hosting?.standby;
  return standby && standby.host === front && front !== hosting.mine ? standby : null;
}

/** The hosts to which own sound and pictures go. */
export function audiences(hosting: Hosting, alarm: Alarm): ReadonlySet<HostId> {
  return new Set([hosting.mine, goalOf(hosting, alarm)]);
}
