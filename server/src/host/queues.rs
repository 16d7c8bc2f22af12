//! Two queues on one port (Linux): what wakes a worker at once, and what it looks at when it comes by.
//!
//! A hundred browsers report what arrived 2,000 times a second, and each report would wake the worker that has to be quick for
//! pictures. The kernel tells them apart by their unencrypted first bytes and puts them on a second socket of the port. Owns: which
//! datagrams may wait. Does not own: for how long (`worker/rest.rs`).

use std::io;

use nix::libc::{sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use socket2::Socket;

/// Sorts from now on what comes for the port of `socket`: to the socket that was bound first, or, what may wait, to the second.
pub(super) fn sort(socket: &Socket) -> io::Result<()> {
    let mut program = PROGRAM;
    let program = sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(0),
        filter: program.as_mut_ptr(),
    };
    Ok(setsockopt(socket, AttachReusePortCbpf, &program)?)
}

/// One step of a classic BPF program: see `Documentation/networking/filter.rst` of Linux.
const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Goes on `yes` steps behind the next one if it holds, `no` steps if it does not.
const fn branch(code: u16, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    }
}

const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_LENGTH: u16 = 0x80;
const ADD: u16 = 0x04;
const AND: u16 = 0x54;
const SHIFT_LEFT: u16 = 0x64;
const SUBTRACT_X: u16 = 0x1c;
const COPY_TO_X: u16 = 0x07;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// First bytes (RFC 7983): those of STUN are below. Handshakes are urgent, what DTLS carries later is not.
const DTLS: u32 = 20;
const DTLS_DATA: u32 = 23;
const RTP: u32 = 128;
const BEHIND_RTP: u32 = 192;

/// Packet types (RFC 3550, RFC 4585) and the format of transport-wide feedback.
const RECEIVER_REPORT: u32 = 201;
const FEEDBACK: u32 = 205;
const ARRIVALS: u32 = 15;

/// What SRTCP adds: index and tag (RFC 3711 with HMAC-SHA1-80, RFC 7714).
const TRAILER_CM: u32 = 14;
const TRAILER_GCM: u32 = 20;

/// Reads UDP payload. A datagram too short to be read is the first socket's. Reports may wait if they are alone in their datagram:
/// behind one there may be a request for a repair or a keyframe.
const PROGRAM: [sock_filter; 21] = [
    step(LOAD_BYTE, 0),
    branch(IF_AT_LEAST, RTP, 2, 0),
    branch(IF_AT_LEAST, DTLS, 0, 17),
    branch(IF_AT_LEAST, DTLS_DATA, 16, 15),
    branch(IF_AT_LEAST, BEHIND_RTP, 15, 0),
    step(LOAD_BYTE, 1),
    branch(IF_EQUAL, RECEIVER_REPORT, 4, 0),
    branch(IF_EQUAL, FEEDBACK, 0, 11),
    step(LOAD_BYTE, 0),
    step(AND, 31),
    branch(IF_EQUAL, ARRIVALS, 0, 8),
    // The length in the first packet's header, in words without the first one.
    step(LOAD_HALF, 2),
    step(ADD, 1),
    step(SHIFT_LEFT, 2),
    step(COPY_TO_X, 0),
    step(LOAD_LENGTH, 0),
    step(SUBTRACT_X, 0),
    branch(IF_EQUAL, TRAILER_CM, 2, 0),
    branch(IF_EQUAL, TRAILER_GCM, 1, 0),
    step(RETURN, 0),
    step(RETURN, 1),
];
