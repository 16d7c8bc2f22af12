"""Watches a room by WHEP with aiortc, which is allowed only SRTP with AES_CM here, and says what it decoded."""

import asyncio
import json
import sys
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription, rtcdtlstransport, rtcrtpreceiver

rtcdtlstransport.SRTP_PROFILES = [rtcdtlstransport.SRTP_AES128_CM_SHA1_80]


class NoEstimate:
    """Says nothing of the line: beside three browsers, Python would report how late it is itself, and be given no picture."""

    def add(self, *_args, **_more):
        return None


rtcrtpreceiver.RemoteBitrateEstimator = NoEstimate


def post(endpoint, offer):
    request = urllib.request.Request(endpoint, offer.encode(), {"Content-Type": "application/sdp"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return reply.read().decode()


async def count(track, counts):
    while True:
        await track.recv()
        counts[track.kind] += 1


async def main(endpoint, seconds):
    peer = RTCPeerConnection()
    counts = {"video": 0, "audio": 0}
    tasks = []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(count(track, counts))))
    peer.addTransceiver("audio", direction="recvonly")
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    answer = await asyncio.to_thread(post, endpoint, peer.localDescription.sdp)
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    each_second = []
    for _ in range(int(seconds)):
        before = counts["video"]
        await asyncio.sleep(1)
        each_second.append(counts["video"] - before)
    profile = rtcdtlstransport.SRTP_PROFILES[0].openssl_profile.decode()
    result = {
        "state": peer.connectionState,
        "profile": profile if profile.startswith("SRTP") else f"SRTP_{profile}",
        "videoFrames": counts["video"],
        "audioFrames": counts["audio"],
        "videoEachSecond": each_second,
    }
    for task in tasks:
        task.cancel()
    await peer.close()
    print(json.dumps(result))


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
