//! Codec payloads, read only as far as forwarding needs: keyframes, layers, picture ids.
