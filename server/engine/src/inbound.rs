//! What arrives on a leg: media is opened into its layer's ring, retransmissions fill holes, reports update clocks.
//!
//! A stream is bound to its layer once, by rid and mid or by SSRC; after that a packet costs one search in a short list.

use baton_protocol::limits::{MAX_BRIDGE_TRACKS, MAX_LAYERS};

use crate::codec::{self, Codec, Peek};
use crate::leg::{Crypto, Leg};
use crate::publication::{Carries, Publication};
use crate::ring::Entry;
use crate::rtp::extension::{Extensions, Origin};
use crate::rtp::{Header, Mid, Rid, Ssrc, padding_len, rtx};
use crate::slab::{Key, Slab};
use crate::srtp::{InboundStream, OpenError};
use crate::stats::Stats;
use crate::time::Tick;

/// Streams of one leg: eight tracks of four layers with retransmissions.
const MAX_STREAMS: usize = 64;

/// Of a leg to another host, by what that may offer.
const MAX_BRIDGE_STREAMS: usize = 2 * MAX_BRIDGE_TRACKS * MAX_LAYERS;

/// Largest payload that is opened outside a ring.
const SCRATCH: usize = 2048;

/// Where a stream's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Into a layer.
    Media { publication: Key, layer: usize },
    /// Into holes of a layer.
    Retransmission { publication: Key, layer: usize },
    /// Nowhere yet.
    Unbound,
    /// Nowhere any more: a newer stream has its layer, and late packets of this one would mix two numberings.
    Retired,
}

/// One SSRC of a leg.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: Ssrc,
    pub(crate) crypto: InboundStream,
    pub(crate) bound: Bound,
    /// When its last packet came.
    pub(crate) heard: Tick,
}

/// What a packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// A new packet in a ring.
    Media,
    /// Nothing to forward.
    Nothing,
}

impl Leg {
    /// Handles one SRTP packet.
    pub(crate) fn handle_rtp(
        &mut self,
        bytes: &mut [u8],
        publications: &mut Slab<Publication>,
        now: Tick,
        stats: &mut Stats,
    ) -> Admitted {
        let (Some(header), true) = (Header::parse(bytes), self.crypto.is_some()) else {
            stats.malformed += 1;
            return Admitted::Nothing;
        };
        let known = self
            .streams
            .iter()
            .position(|stream| stream.ssrc == header.ssrc);
        let mut fresh = InboundStream::new();
        let bound = match known.and_then(|index| self.streams.get(index)) {
            Some(stream) if stream.bound != Bound::Unbound => stream.bound,
            Some(_) | None => self.bind(&header, bytes, publications),
        };
        let Some(crypto) = self.crypto.as_ref() else {
            return Admitted::Nothing;
        };
        let state = match known.and_then(|index| self.streams.get_mut(index)) {
            Some(stream) => &mut stream.crypto,
            None => &mut fresh,
        };
        let extensions = Extensions::parse(&self.maps_in, bytes, &header);
        let transport_sequence = extensions.transport_sequence;
        let size = bytes.len();
        let packet = Packet {
            header,
            extensions,
            bytes,
            now,
            is_bridged: self.bridge.is_some(),
        };
        let outcome = match bound {
            Bound::Media { publication, layer } => {
                packet.admit_media(crypto, state, publications, publication, layer)
            }
            Bound::Retransmission { publication, layer } => {
                packet.admit_retransmission(crypto, state, publications, publication, layer)
            }
            Bound::Unbound | Bound::Retired => packet.discard(crypto, state),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(OpenError::Replayed | OpenError::TooOld) => {
                stats.replayed += 1;
                return Admitted::Nothing;
            }
            Err(OpenError::Short | OpenError::Forged | OpenError::TooLong) => {
                stats.open_failures += 1;
                return Admitted::Nothing;
            }
        };
        self.keep_stream(known, header.ssrc, fresh, bound, publications, now);
        self.heard = now;
        self.uplink.note(size, transport_sequence, now);
        stats.packets_in += 1;
        stats.bytes_in += outcome.bytes as u64;
        stats.rtx_in += u64::from(outcome.repaired);
        stats.unbound += u64::from(bound == Bound::Unbound);
        if let Some(sequence) = transport_sequence {
            let is_full = self.arrivals.record(sequence, header.ssrc, now);
            let due = if is_full {
                now
            } else {
                now + crate::arrivals::INTERVAL
            };
            self.feedback_due = self.feedback_due.min(due);
        }
        if outcome.admitted == Admitted::Media
            && let Bound::Media { publication, layer }
            | Bound::Retransmission { publication, layer } = bound
        {
            let round_trip = self.round_trip();
            let layer = publications
                .get(publication)
                .and_then(|publication| publication.layers.get(layer));
            let nack = layer.and_then(|layer| layer.reception.nack_deadline(round_trip));
            self.feedback_due = self.feedback_due.min(nack.unwrap_or(Tick::NEVER));
        }
        outcome.admitted
    }

    /// Remembers a stream; of too many, the one that was silent the longest goes: every new share of a screen brings new ones.
    pub(crate) fn add_stream(&mut self, stream: Stream) {
        let most = match self.bridge {
            Some(_) => MAX_BRIDGE_STREAMS,
            None => MAX_STREAMS,
        };
        if self.streams.len() >= most {
            let heard = |(_, stream): &(usize, &Stream)| stream.heard;
            let silent = self.streams.iter().enumerate().min_by_key(heard);
            if let Some((index, _)) = silent {
                self.streams.remove(index);
            }
        }
        self.streams.push(stream);
    }

    /// Where a layer has a new stream, those it had before are over, with their retransmissions.
    pub(crate) fn retire_others(&mut self, current: &[Ssrc], publication: Key, layer: usize) {
        let media = Bound::Media { publication, layer };
        let retransmission = Bound::Retransmission { publication, layer };
        let is_other = |stream: &Stream| !current.contains(&stream.ssrc);
        let mut streams = self.streams.iter();
        if !streams.any(|stream| stream.bound == media && is_other(stream)) {
            return;
        }
        for stream in self.streams.iter_mut().filter(|stream| is_other(stream)) {
            if stream.bound == media || stream.bound == retransmission {
                stream.bound = Bound::Retired;
            }
        }
    }

    fn keep_stream(
        &mut self,
        known: Option<usize>,
        ssrc: Ssrc,
        crypto: InboundStream,
        bound: Bound,
        publications: &mut Slab<Publication>,
        now: Tick,
    ) {
        let newly = match known.and_then(|index| self.streams.get_mut(index)) {
            Some(stream) => {
                let newly = stream.bound != bound;
                stream.bound = bound;
                stream.heard = now;
                newly
            }
            None => {
                self.add_stream(Stream {
                    ssrc,
                    crypto,
                    bound,
                    heard: now,
                });
                true
            }
        };
        if let (true, Bound::Media { publication, layer }) = (newly, bound) {
            self.retire_others(&[ssrc], publication, layer);
        }
        if let (true, Bound::Media { publication, layer }) = (newly, bound)
            && let Some(layer) = publications
                .get_mut(publication)
                .and_then(|found| found.layers.get_mut(layer))
            && layer.ssrc.is_none()
        {
            layer.ssrc = Some(ssrc);
        }
    }

    /// Finds the layer of a stream that was not bound so far: by mid, rid and payload type (RFC 8852, RFC 9143 section 9.2).
    fn bind(&self, header: &Header, bytes: &[u8], publications: &mut Slab<Publication>) -> Bound {
        let extensions = Extensions::parse(&self.maps_in, bytes, header);
        let mid = extensions.mid.and_then(|mid| Mid::try_from(mid).ok());
        let rid = extensions.rid.and_then(|rid| Rid::try_from(rid).ok());
        let repaired = extensions
            .repaired_rid
            .and_then(|rid| Rid::try_from(rid).ok());
        let candidates = self
            .publications
            .iter()
            .filter_map(|&key| Some((key, publications.get(key)?)));
        let by_mid = |publication: &Publication| match mid {
            Some(mid) => publication.track.mid == mid.as_str(),
            None => true,
        };
        let mut found = candidates
            .filter(|(_, publication)| by_mid(publication))
            .filter_map(|(key, publication)| {
                Some((key, publication.carries(header.payload_type)?, publication))
            });
        let Some((key, carries, publication)) = found.next() else {
            return Bound::Unbound;
        };
        if mid.is_none() && found.next().is_some() {
            return Bound::Unbound;
        }
        let layer = publication.layer_by_rid(repaired.or(rid));
        let (bound, layer) = match (carries, layer) {
            (_, None) => return Bound::Unbound,
            (Carries::Retransmission(_), Some(layer)) => (
                Bound::Retransmission {
                    publication: key,
                    layer,
                },
                None,
            ),
            (Carries::Media(_), Some(layer)) => (
                Bound::Media {
                    publication: key,
                    layer,
                },
                Some(layer),
            ),
        };
        if let Some(index) = layer
            && let Some(layer) = publications
                .get_mut(key)
                .and_then(|publication| publication.layers.get_mut(index))
            && layer.ssrc.is_some_and(|ssrc| ssrc != header.ssrc)
            && self.is_authentic(header, bytes)
        {
            layer.rebind(header.ssrc);
        }
        bound
    }

    /// Checks a packet without using it: an SSRC that anyone may invent must not reset a layer.
    fn is_authentic(&self, header: &Header, bytes: &[u8]) -> bool {
        let mut scratch = [0; SCRATCH];
        let mut state = InboundStream::new();
        self.crypto.as_ref().is_some_and(|crypto| {
            crypto
                .inbound
                .open_rtp(
                    &mut state,
                    bytes,
                    header.header_len,
                    header.seq,
                    header.ssrc.0,
                    &mut scratch,
                )
                .is_ok()
        })
    }
}

/// One packet on its way in.
struct Packet<'a> {
    header: Header,
    extensions: Extensions<'a>,
    bytes: &'a [u8],
    now: Tick,
    /// It comes from another host.
    is_bridged: bool,
}

struct Outcome {
    admitted: Admitted,
    bytes: usize,
    repaired: bool,
}

impl Packet<'_> {
    fn open(
        &self,
        crypto: &Crypto,
        state: &mut InboundStream,
        out: &mut [u8],
    ) -> Result<usize, OpenError> {
        let Header {
            header_len,
            seq,
            ssrc,
            ..
        } = self.header;
        Ok(crypto
            .inbound
            .open_rtp(state, self.bytes, header_len, seq, ssrc.0, out)?
            .payload_len)
    }

    fn discard(&self, crypto: &Crypto, state: &mut InboundStream) -> Result<Outcome, OpenError> {
        let mut scratch = [0; SCRATCH];
        let bytes = self.open(crypto, state, &mut scratch)?;
        Ok(Outcome {
            admitted: Admitted::Nothing,
            bytes,
            repaired: false,
        })
    }

    fn admit_media(
        &self,
        crypto: &Crypto,
        state: &mut InboundStream,
        publications: &mut Slab<Publication>,
        key: Key,
        index: usize,
    ) -> Result<Outcome, OpenError> {
        let Some(publication) = publications.get_mut(key) else {
            return self.discard(crypto, state);
        };
        let carries = publication.carries(self.header.payload_type);
        let Some(layer) = publication.layers.get_mut(index) else {
            return self.discard(crypto, state);
        };
        let len = self.open(crypto, state, layer.ring.spare())?;
        let seq = layer.reception.extend(self.header.seq);
        let Some(Carries::Media(codec)) = carries else {
            return Ok(Outcome {
                admitted: Admitted::Nothing,
                bytes: len,
                repaired: false,
            });
        };
        let len = self.without_padding(layer.ring.spare().get(..len).unwrap_or_default());
        let admitted =
            len.is_some_and(|len| self.store(publication, index, codec, seq, len, false));
        Ok(Outcome {
            admitted: if admitted {
                Admitted::Media
            } else {
                Admitted::Nothing
            },
            bytes: len.unwrap_or(0),
            repaired: false,
        })
    }

    fn admit_retransmission(
        &self,
        crypto: &Crypto,
        state: &mut InboundStream,
        publications: &mut Slab<Publication>,
        key: Key,
        index: usize,
    ) -> Result<Outcome, OpenError> {
        let mut scratch = [0; SCRATCH];
        let len = self.open(crypto, state, &mut scratch)?;
        let nothing = Outcome {
            admitted: Admitted::Nothing,
            bytes: len,
            repaired: false,
        };
        let Some(publication) = publications.get_mut(key) else {
            return Ok(nothing);
        };
        let Some(Carries::Retransmission(codec)) = publication.carries(self.header.payload_type)
        else {
            return Ok(nothing);
        };
        let payload = scratch.get(..len).unwrap_or_default();
        let payload = self
            .without_padding(payload)
            .and_then(|len| payload.get(..len))
            .unwrap_or_default();
        let Some((original, payload)) =
            rtx::split(payload).filter(|(_, payload)| !payload.is_empty())
        else {
            return Ok(nothing);
        };
        let Some(layer) = publication.layers.get_mut(index) else {
            return Ok(nothing);
        };
        if !layer.reception.has_received() {
            return Ok(nothing);
        }
        let seq = layer.reception.extend(original);
        let Some(place) = layer.ring.spare().get_mut(..payload.len()) else {
            return Ok(nothing);
        };
        place.copy_from_slice(payload);
        let repaired = self.store(publication, index, codec, seq, payload.len(), true);
        Ok(Outcome {
            admitted: if repaired {
                Admitted::Media
            } else {
                Admitted::Nothing
            },
            bytes: len,
            repaired,
        })
    }

    /// Payload length without RTP padding.
    fn without_padding(&self, payload: &[u8]) -> Option<usize> {
        payload
            .len()
            .checked_sub(padding_len(&self.header, payload)?)
    }

    /// Only another host's word is taken for what a packet was before. `ssrc`: of the stream that it repairs.
    fn origin(&self, seq: u64, ssrc: Option<Ssrc>) -> Origin {
        #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits")]
        let own = Origin {
            ssrc: ssrc.unwrap_or(self.header.ssrc),
            seq: seq as u16,
            timestamp: self.header.timestamp,
        };
        let told = self.extensions.origin.filter(|_| self.is_bridged);
        told.unwrap_or(own)
    }

    /// Makes the bytes in the ring's spare slot a packet.
    fn store(
        &self,
        publication: &mut Publication,
        index: usize,
        codec: Codec,
        seq: u64,
        payload_len: usize,
        is_retransmission: bool,
    ) -> bool {
        let muted = publication.track.muted;
        publication.note_activity(index, self.now);
        let Some(layer) = publication.layers.get_mut(index) else {
            return false;
        };
        let origin = self.origin(seq, layer.ssrc.filter(|_| is_retransmission));
        let descriptor = self.extensions.dependency_descriptor.unwrap_or_default();
        let dependency = (!descriptor.is_empty())
            .then(|| layer.descriptors.read(descriptor))
            .flatten();
        let spare = layer.ring.spare();
        let payload = spare.get(..payload_len).unwrap_or_default();
        let peek = if payload_len == 0 {
            // Padding without media keeps its place in the numbering.
            Peek::default()
        } else {
            let peek = codec::peek_with_descriptor(
                codec,
                payload,
                self.header.marker,
                dependency.as_ref(),
            );
            let Some(peek) = peek else { return false };
            peek
        };
        let descriptor_len = match spare.get_mut(payload_len..payload_len + descriptor.len()) {
            Some(place) => {
                place.copy_from_slice(descriptor);
                descriptor.len()
            }
            None => 0,
        };
        let (Ok(payload_len), Ok(descriptor_len)) =
            (u16::try_from(payload_len), u16::try_from(descriptor_len))
        else {
            return false;
        };
        let admitted = layer.admit(
            Entry {
                seq,
                timestamp: self.header.timestamp,
                arrival: self.now,
                marker: self.header.marker,
                codec,
                peek,
                payload_len,
                descriptor_len,
                audio_level: self.extensions.audio_level,
                video_orientation: self.extensions.video_orientation,
                playout_delay: self.extensions.playout_delay,
                origin,
            },
            is_retransmission,
        );
        if admitted && codec.kind() == baton_protocol::MediaKind::Audio && !muted {
            let level = if peek.silence {
                Some(127)
            } else {
                self.extensions.audio_level.map(|level| level.level)
            };
            publication.loudness.handle_level(level, self.now);
        }
        admitted
    }
}
