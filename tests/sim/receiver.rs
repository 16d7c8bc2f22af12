//! What a participant receives on one leg, and the strict ear and eye that judge it: each stream's numbers, clocks and picture ids
//! must go on as a browser's decoder needs them. Does not know who may be heard or seen: that is the `oracle`.

mod arrivals;
mod hearing;
mod sight;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use baton_engine::rtcp::{self, Ntp, ReportBlock, RtcpPacket};
use baton_engine::rtp::{self, Header, Ssrc, padding_len, rtx, seq};
use baton_engine::srtp::{Inbound, InboundStream, OpenError};
use baton_protocol::MediaKind;

pub(crate) use hearing::Heard;
pub(crate) use sight::{Seen, TORN};

use crate::offer::{AnsweredSlot, RED};
use crate::packets::{PicturePacket, Stamp, read_picture, read_red, read_sound};
use arrivals::Arrivals;
use hearing::Hearing;
use sight::Sight;

/// Requests for the host that wait to be sealed.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) nacks: Vec<(u32, Vec<u16>)>,
    pub(crate) keyframes: Vec<u32>,
}

/// One packet of media as it came out of its slot, for the oracle.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) mid: String,
    pub(crate) stamp: Stamp,
    /// Who the host says it is.
    pub(crate) csrc: Option<u32>,
    pub(crate) is_repair: bool,
}

/// What the host asked this participant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Keyframe(u32),
    Again(u32, Vec<u16>),
}

/// What one datagram was.
pub(crate) enum Opened {
    Media(Got),
    Control(Vec<Asked>),
    /// Of a slot that the answer has not told yet.
    Early,
    /// Damaged or repeated on the way.
    Refused,
}

pub(crate) struct Receiver {
    inbound: Inbound,
    streams: BTreeMap<u32, InboundStream>,
    slots: Vec<Slot>,
    scratch: Vec<u8>,
    pub(crate) arrivals: Arrivals,
    /// Feedback about arrivals that the host sent.
    pub(crate) feedbacks: u64,
    /// What a strict decoder would not forgive.
    pub(crate) complaints: Vec<String>,
}

struct Slot {
    told: AnsweredSlot,
    decoder: Decoder,
    /// Middle of the NTP time of the last sender report, and when it came.
    report: Option<(u32, Instant)>,
}

enum Decoder {
    Ear(Hearing),
    Eye(Sight),
}

/// What the decoders need to know of the line and the moment.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    pub(crate) round_trip: Duration,
    /// How far arrival times may differ from the sender's, beyond what a calm line does.
    pub(crate) unrest: Duration,
}

impl Receiver {
    pub(crate) fn new(inbound: Inbound) -> Self {
        Self {
            inbound,
            streams: BTreeMap::new(),
            slots: Vec::new(),
            scratch: vec![0; 2048],
            arrivals: Arrivals::default(),
            feedbacks: 0,
            complaints: Vec::new(),
        }
    }

    /// Takes the slots of an answer; those known already go on.
    pub(crate) fn set_slots(&mut self, slots: Vec<AnsweredSlot>) {
        for told in slots {
            if self.slots.iter().any(|slot| slot.told == told) {
                continue;
            }
            let decoder = match told.kind {
                MediaKind::Audio => Decoder::Ear(Hearing::default()),
                MediaKind::Video => Decoder::Eye(Sight::default()),
            };
            self.slots.push(Slot {
                told,
                decoder,
                report: None,
            });
        }
    }

    /// Mids of the video slots.
    pub(crate) fn video_mids(&self) -> impl Iterator<Item = &str> {
        let video = self
            .slots
            .iter()
            .filter(|slot| slot.told.kind == MediaKind::Video);
        video.map(|slot| slot.told.mid.as_str())
    }

    /// What was seen so far in all slots, by person.
    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        self.slots
            .iter_mut()
            .filter_map(|slot| match &mut slot.decoder {
                Decoder::Eye(sight) => Some(sight.take_seen()),
                Decoder::Ear(_) => None,
            })
            .flatten()
            .collect()
    }

    /// What was heard since the last call.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        self.slots
            .iter_mut()
            .filter_map(|slot| match &mut slot.decoder {
                Decoder::Ear(hearing) => Some(hearing.take_heard()),
                Decoder::Eye(_) => None,
            })
            .flatten()
            .collect()
    }

    /// Opens one datagram and gives it to its slot's decoder.
    pub(crate) fn handle_datagram(&mut self, bytes: &mut [u8], moment: Moment) -> Opened {
        if rtp::is_rtcp(bytes) {
            return match self.inbound.open_rtcp(bytes) {
                Ok(compound) => {
                    let compound = compound.to_vec();
                    Opened::Control(self.handle_control(&compound, moment.now))
                }
                Err(_) => Opened::Refused,
            };
        }
        let Some(header) = Header::parse(bytes) else {
            return Opened::Refused;
        };
        let mut fresh = InboundStream::new();
        let known = self.streams.get_mut(&header.ssrc.0);
        let is_known = known.is_some();
        let stream = known.unwrap_or(&mut fresh);
        let opened = self.inbound.open_rtp(
            stream,
            bytes,
            header.header_len,
            header.seq,
            header.ssrc.0,
            &mut self.scratch,
        );
        let opened = match opened {
            Ok(opened) => opened,
            Err(
                OpenError::TooOld
                | OpenError::Replayed
                | OpenError::Forged
                | OpenError::Short
                | OpenError::TooLong,
            ) => {
                return Opened::Refused;
            }
        };
        if !is_known {
            self.streams.insert(header.ssrc.0, fresh);
        }
        self.arrivals.note(bytes, &header, moment.now);
        let payload = self.scratch.get(..opened.payload_len).unwrap_or_default();
        let Some(padding) = padding_len(&header, payload) else {
            self.complaints
                .push(format!("slot {:?}: padding makes no sense", header.ssrc));
            return Opened::Refused;
        };
        let payload = payload[..payload.len() - padding].to_vec();
        let csrc = header.csrcs(bytes).next().map(|csrc| csrc.0);
        self.deliver(&header, opened.index, &payload, csrc, moment)
    }

    fn deliver(
        &mut self,
        header: &Header,
        index: u64,
        payload: &[u8],
        csrc: Option<u32>,
        moment: Moment,
    ) -> Opened {
        let ssrc = header.ssrc.0;
        let Some(slot) = self
            .slots
            .iter_mut()
            .find(|slot| slot.told.ssrc == ssrc || slot.told.repair == Some(ssrc))
        else {
            return Opened::Early;
        };
        let is_repair = slot.told.ssrc != ssrc;
        let mid = slot.told.mid.clone();
        if is_repair && payload.is_empty() {
            // Padding: only its arrival counts.
            return Opened::Early;
        }
        let stamp = match &mut slot.decoder {
            Decoder::Ear(hearing) => {
                let read = if header.payload_type.as_u8() == RED {
                    read_red(payload)
                } else {
                    read_sound(payload).map(|stamp| (stamp, false))
                };
                read.map(|(stamp, is_twice)| {
                    let heard = (&stamp, is_twice);
                    hearing.handle(index, header.timestamp, heard, moment, &mut self.complaints);
                    stamp
                })
            }
            Decoder::Eye(sight) => {
                let (index, payload) = match rtx::split(payload) {
                    Some((original, payload)) if is_repair => {
                        (seq::extend(sight.highest().unwrap_or(0), original), payload)
                    }
                    Some(_) | None => (index, payload),
                };
                if payload.is_empty() {
                    sight.insert_empty(index);
                    sight.advance(moment, &mut self.complaints);
                    return Opened::Early;
                }
                read_picture(payload).map(|packet| {
                    sight.insert(index, Packet::new(header, packet), moment);
                    sight.advance(moment, &mut self.complaints);
                    packet.stamp
                })
            }
        };
        match stamp {
            Some(stamp) => Opened::Media(Got {
                mid,
                stamp,
                csrc,
                is_repair,
            }),
            None => {
                self.complaints.push(format!(
                    "slot {mid}: bytes that nobody stamped, {} of them",
                    payload.len()
                ));
                Opened::Refused
            }
        }
    }

    fn handle_control(&mut self, compound: &[u8], now: Instant) -> Vec<Asked> {
        let mut asked = Vec::new();
        for packet in rtcp::packets(compound) {
            match packet {
                RtcpPacket::SenderReport { ssrc, ntp, .. } => {
                    if let Some(slot) = self.slots.iter_mut().find(|slot| slot.told.ssrc == ssrc.0)
                    {
                        slot.report = Some((ntp.middle32(), now));
                    }
                }
                RtcpPacket::Pli { media, .. } => asked.push(Asked::Keyframe(media.0)),
                RtcpPacket::Fir { entries, .. } => {
                    asked.extend(entries.map(|(media, _)| Asked::Keyframe(media.0)))
                }
                RtcpPacket::Nack { media, lost, .. } => {
                    asked.push(Asked::Again(media.0, lost.collect()))
                }
                RtcpPacket::TransportFeedback(_) => self.feedbacks += 1,
                RtcpPacket::ReceiverReport { .. }
                | RtcpPacket::Sdes
                | RtcpPacket::Bye { .. }
                | RtcpPacket::Remb { .. }
                | RtcpPacket::Unknown { .. } => {}
            }
        }
        asked
    }

    /// Time has passed: what has to be asked for now.
    pub(crate) fn poll_requests(&mut self, moment: Moment) -> Requests {
        let mut requests = Requests::default();
        for slot in &mut self.slots {
            let Decoder::Eye(sight) = &mut slot.decoder else {
                continue;
            };
            sight.advance(moment, &mut self.complaints);
            let lost = sight.poll_nacks(moment);
            if !lost.is_empty() {
                requests.nacks.push((slot.told.ssrc, lost));
            }
            if sight.poll_keyframe_request(moment) {
                requests.keyframes.push(slot.told.ssrc);
            }
        }
        requests
    }

    /// Report blocks for all slots that got something.
    pub(crate) fn reports(&self, now: Instant) -> Vec<ReportBlock> {
        let blocks = self.slots.iter().filter_map(|slot| {
            let highest = self.streams.get(&slot.told.ssrc)?.highest_index()?;
            let (last_sr, since) = slot
                .report
                .map_or((0, Duration::ZERO), |(middle, at)| (middle, now - at));
            Some(ReportBlock {
                ssrc: Ssrc(slot.told.ssrc),
                fraction_lost: 0,
                cumulative_lost: 0,
                highest_seq: u32::try_from(highest & 0xffff_ffff).expect("masked"),
                jitter: 0,
                last_sr,
                delay_since_last_sr: ReportBlock::delay_units(since),
            })
        });
        blocks.collect()
    }
}

/// One packet of a picture in a decoder's buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    timestamp: u32,
    marker: bool,
    picture: PicturePacket,
}

impl Packet {
    fn new(header: &Header, picture: PicturePacket) -> Self {
        Self {
            timestamp: header.timestamp,
            marker: header.marker,
            picture,
        }
    }
}

/// The participant's time as NTP time.
pub(crate) fn ntp(elapsed: Duration) -> Ntp {
    Ntp::from_duration(Duration::from_secs(3_800_000_000) + elapsed)
}

/// Does a media clock go on as real time does? `ticks` passed on it while `real` passed.
fn is_steady(ticks: u32, rate: u32, real: Duration, tolerance: Duration) -> bool {
    let told = Duration::from_micros(u64::from(ticks) * 1_000_000 / u64::from(rate));
    told.abs_diff(real) <= tolerance
}
