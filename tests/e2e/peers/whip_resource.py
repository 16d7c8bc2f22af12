"""Walks through the life of a WHIP resource with an offer of aiortc, and says how each request was answered."""

import asyncio
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urljoin

from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack


def ask(method, url, body=None):
    """Status and headers, also of a refusal."""
    headers = {"Content-Type": "application/sdp"} if body else {}
    request = urllib.request.Request(url, body and body.encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.headers
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers


async def main(endpoint):
    peer = RTCPeerConnection()
    peer.addTrack(AudioStreamTrack())
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    created, headers = await asyncio.to_thread(ask, "POST", endpoint, offer)
    resource = urljoin(endpoint, headers.get("Location", ""))
    deleted, _ = await asyncio.to_thread(ask, "DELETE", resource)
    again, _ = await asyncio.to_thread(ask, "DELETE", resource)
    status, problem = await asyncio.to_thread(ask, "POST", endpoint, "v=0\r\nthis is no offer\r\n")
    await peer.close()
    garbage = {"status": status, "type": problem.get_content_type()}
    print(json.dumps({"created": created, "location": headers.get("Location"), "deleted": deleted, "again": again, "garbage": garbage}))


asyncio.run(main(sys.argv[1]))
