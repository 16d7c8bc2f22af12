"""Publishes a test picture and a tone by WHIP (RFC 9725) with GStreamer's webrtcbin until it is interrupted."""

import signal
import sys
import urllib.request
from urllib.parse import urljoin

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PIPELINE = """
webrtcbin name=peer bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1
  ! vp8enc deadline=1 cpu-used=8 target-bitrate=600000 keyframe-max-dist=3000
  ! rtpvp8pay picture-id-mode=15-bit ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
audiotestsrc is-live=true wave=sine volume=0.4 ! opusenc
  ! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
"""


class Publisher:
    """One webrtcbin and the WHIP resource that answers it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.resource = None
        self.offered = False
        self.promises = []  # webrtcbin crashes when a reply is collected before it is read
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.peer = self.pipeline.get_by_name("peer")
        # libnice leaves loopback out unless told, and the tests stay on it.
        self.agent = self.peer.get_property("ice-agent")  # kept: webrtcbin does not hold it for us
        self.agent.emit("add-local-ip-address", "127.0.0.1")
        self.peer.connect("on-negotiation-needed", self.negotiate)
        self.peer.connect("notify::ice-gathering-state", self.gathered)
        self.pipeline.set_state(Gst.State.PLAYING)

    def negotiate(self, _peer):
        promise = Gst.Promise.new_with_change_func(self.offer_made, None, None)
        self.promises.append(promise)
        self.peer.emit("create-offer", None, promise)

    def offer_made(self, promise, _a, _b):
        reply = promise.get_reply()
        self.promises.append(reply)
        self.peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def gathered(self, _peer, _property):
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.peer.get_property("ice-gathering-state") == complete and not self.offered:
            self.offered = True
            GLib.idle_add(self.post)

    def post(self):
        offer = self.peer.get_property("local-description").sdp.as_text()
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.endpoint, offer.encode(), headers)
        with urllib.request.urlopen(request, timeout=5) as reply:
            assert reply.status == 201, reply.status
            self.resource = urljoin(self.endpoint, reply.headers["Location"])
            text = reply.read().decode()
        _, message = GstSdp.SDPMessage.new_from_text(text)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.peer.emit("set-remote-description", answer, Gst.Promise.new())
        return False

    def stop(self):
        self.pipeline.set_state(Gst.State.NULL)
        if self.resource:
            request = urllib.request.Request(self.resource, method="DELETE")
            urllib.request.urlopen(request, timeout=2).close()


def main():
    Gst.init(None)
    publisher = Publisher(sys.argv[1])
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGINT, loop.quit)
    loop.run()
    publisher.stop()


main()
