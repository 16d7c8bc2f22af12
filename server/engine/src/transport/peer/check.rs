//! Connectivity checks on their way to rtc.

use std::net::SocketAddr;

use bytes::BytesMut;

use super::super::stun::Binding;
use super::Transport;

impl Transport {
    /// Takes a STUN message.
    ///
    /// rtc leaves a nomination unanswered until its own check of the pair has succeeded, and waits for the next one (webrtc-rs/webrtc#647
    /// mended its sister). By TCP nothing is repeated: Firefox nominates in its first check and in the one that rtc's triggers, which
    /// goes out before its answer where the round trip is longer than 20 ms. So rtc gets both again once it can answer them.
    pub(super) fn handle_check(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let binding = Binding::parse(bytes);
        if let Some(Binding::Request(check)) = binding {
            self.addresses.note_request(remote, local, check, bytes);
        }
        self.feed(local, remote, BytesMut::from(bytes));
        if let Some(Binding::Success { .. }) = binding {
            while let Some((local, nomination)) = self.addresses.take_unanswered(remote) {
                self.feed(local, remote, nomination);
            }
        }
    }
}
