#!/bin/sh
# Chromium at the other end of the cable, in the namespace of the guest.
exec ip netns exec "$BATON_GUEST" "${BATON_CHROMIUM:-/usr/bin/chromium}" "$@"
