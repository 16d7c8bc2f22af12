//! Numbers inside the payload that must stay continuous when a slot changes its source.

/// How many bits a picture id has on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureIdWidth {
    /// One byte, M=0.
    Bits7,
    /// Two bytes, M=1.
    Bits15,
}

impl PictureIdWidth {
    /// The largest id of this width.
    pub fn mask(self) -> u16 {
        match self {
            Self::Bits7 => 0x7f,
            Self::Bits15 => 0x7fff,
        }
    }
}

/// A picture's running number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PictureId {
    /// The number, below 2^7 or 2^15.
    pub value: u16,
    /// Its width on the wire.
    pub width: PictureIdWidth,
}

/// The continuous numbers of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PictureIds {
    /// The codec has none.
    #[default]
    None,
    /// RFC 7741 section 4.2.
    Vp8 {
        /// PictureID.
        picture_id: Option<PictureId>,
        /// TL0PICIDX: number of the base layer picture it builds on.
        tl0: Option<u8>,
        /// KEYIDX: number of the keyframe it builds on, 5 bits. No receiver is known to need it continuous.
        key_index: Option<u8>,
    },
    /// RFC 9628 section 4.2.
    Vp9 {
        /// Picture ID.
        picture_id: Option<PictureId>,
        /// TL0PICIDX, in non-flexible mode only.
        tl0: Option<u8>,
    },
}

/// What to write into a packet of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappedIds {
    /// Nothing: the packet has no such numbers.
    Absent,
    /// These, by [`patch`](super::patch).
    Patch {
        /// Picture id, 15 bits; [`patch`](super::patch) cuts it to the packet's width.
        picture_id: u16,
        /// TL0PICIDX.
        tl0: u8,
    },
    /// The picture was skipped, or comes from before the switch to this source: do not forward it.
    Stale,
}

/// Keeps the picture ids of a slot continuous over changes of source and layer. One per subscription.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureIdMap {}

impl PictureIdMap {
    /// The numbers under which a packet is forwarded. `switched`: this packet starts a keyframe of another source or
    /// layer than the packet before; its picture follows the last one sent.
    pub fn map(&mut self, _ids: PictureIds, _switched: bool) -> MappedIds {
        MappedIds::Absent
    }

    /// [`map`](Self::map) for a packet sent again: changes nothing.
    pub fn look_up(&self, _ids: PictureIds) -> MappedIds {
        MappedIds::Absent
    }

    /// This packet's picture is not forwarded, on purpose (a temporal layer above the target): those behind it move up.
    pub fn skip(&mut self, _ids: PictureIds) {}
}
