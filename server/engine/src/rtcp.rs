//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104, transport-wide congestion control): bounded reading and writing.
