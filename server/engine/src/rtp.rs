//! RTP headers and header extensions (RFC 3550 section 5, RFC 8285): bounded reading and writing.
