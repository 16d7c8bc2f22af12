//! Numbers inside the payload that must stay continuous when a slot changes its source.
//! Owns their shape and their place on the wire; [`PictureIdMap`](super::PictureIdMap) counts.

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

    /// Bytes on the wire.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Bits7 => 1,
            Self::Bits15 => 2,
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
        /// KEYIDX: number of the keyframe it builds on, 5 bits. Marked as absent when it is forwarded with a TID.
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

impl PictureIds {
    /// Can a receiver tell from them that a picture is missed by no other? Without them it takes each for the base of the next one
    /// (libwebrtc's `RtpSeqNumOnlyRefFinder`).
    pub fn tell_layers(self) -> bool {
        match self {
            Self::None => false,
            Self::Vp8 {
                picture_id, tl0, ..
            } => picture_id.is_some() && tl0.is_some(),
            Self::Vp9 { picture_id, .. } => picture_id.is_some(),
        }
    }
}

/// Reads a picture id: M, then 7 or 15 bits (RFC 7741 section 4.2, RFC 9628 section 4.2).
pub(super) fn read(bytes: &[u8]) -> Option<PictureId> {
    let (&first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return Some(PictureId {
            value: u16::from(first),
            width: PictureIdWidth::Bits7,
        });
    }
    Some(PictureId {
        value: u16::from_be_bytes([first & 0x7f, *rest.first()?]),
        width: PictureIdWidth::Bits15,
    })
}

/// Writes a picture id over the one at the head of `bytes`, as wide as that is. Gives what is behind.
pub(super) fn write(bytes: &mut [u8], id: u16) -> &mut [u8] {
    let [high, low] = (id & PictureIdWidth::Bits15.mask()).to_be_bytes();
    match read(bytes).map(|old| old.width) {
        Some(PictureIdWidth::Bits7) => {
            let Some((field, rest)) = bytes.split_first_mut() else {
                return &mut [];
            };
            *field = low & 0x7f;
            rest
        }
        Some(PictureIdWidth::Bits15) => {
            let Some((field, rest)) = bytes.split_first_chunk_mut() else {
                return &mut [];
            };
            *field = [0x80 | high, low];
            rest
        }
        None => &mut [],
    }
}
