//! Asks the processor for memory without waiting for it. Where that cannot be said (other than x86-64), nothing happens.
//!
//! The only file with `unsafe`: the instruction is safe with any address, but the language wants to be told that the processor has it.
#![allow(
    unsafe_code,
    reason = "the instruction is part of every x86-64 processor"
)]

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for all of `thing`, not for what it points to.
#[inline]
pub(crate) fn fetch<T>(thing: &T) {
    fetch_at(thing, size_of::<T>());
}

/// Asks for so many bytes from `start` on, whatever is there.
#[inline]
pub(crate) fn fetch_at<T>(start: *const T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        #[target_feature(enable = "sse")]
        fn fetch_line(address: *const i8) {
            _mm_prefetch::<_MM_HINT_T0>(address);
        }

        let start = start.cast::<i8>();
        let into_line = start.addr() % LINE;
        for line in 0..into_line.saturating_add(bytes).div_ceil(LINE) {
            // SAFETY: SSE is part of x86-64; the instruction neither faults nor changes anything that a program can see.
            unsafe { fetch_line(start.wrapping_add(line * LINE)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_may_be_asked_for_and_nothing_changes() {
        let things = [7_u64; 40];
        fetch(&things);
        fetch_at(things.as_ptr(), 100_000);
        for address in [0, 1, LINE - 1, usize::MAX - 10, usize::MAX] {
            fetch_at(std::ptr::without_provenance::<u8>(address), 3 * LINE);
        }
        assert_eq!(things, [7; 40]);
    }
}
