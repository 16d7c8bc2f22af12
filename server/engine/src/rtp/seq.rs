//! Sequence numbers and timestamps that wrap: widening and comparing.
//!
//! Stateless: who keeps the highest number seen is the caller's business.

/// The widened number of a stream's first packet. One cycle is left below it, so that packets sent before the first
/// one to arrive can still be numbered.
pub const fn first(wire: u16) -> u64 {
    0x1_0000 + wire as u64
}

/// Widens a sequence number: of all numbers ending in `wire`, the one nearest to `highest`, the highest number of the
/// stream so far (the guess of RFC 3711 section 3.3.1). Late packets get a lower number, also across a wrap.
#[inline]
pub const fn extend(highest: u64, wire: u16) -> u64 {
    let [.., high, low] = highest.to_be_bytes();
    let step = diff(wire, u16::from_be_bytes([high, low]));
    match highest.checked_add_signed(step as i64) {
        Some(extended) => extended,
        // Before the first cycle there is none to go back to.
        None => wire as u64,
    }
}

/// Widens a timestamp in the same way.
#[inline]
pub const fn extend_timestamp(highest: u64, wire: u32) -> u64 {
    let [.., b0, b1, b2, b3] = highest.to_be_bytes();
    let step = ts_diff(wire, u32::from_be_bytes([b0, b1, b2, b3]));
    match highest.checked_add_signed(step as i64) {
        Some(extended) => extended,
        None => wire as u64,
    }
}

/// `a - b` for sequence numbers: negative when `a` is older. Half the number space apart counts as older.
#[inline]
pub const fn diff(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

/// `a - b` for timestamps, in ticks: negative when `a` is older. Half the number space apart counts as older.
#[inline]
pub const fn ts_diff(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}
