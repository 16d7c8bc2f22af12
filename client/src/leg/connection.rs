//! The task of a leg: makes the peer connection, offers, takes the answer, and reads what comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use baton_protocol::limits::MAX_PATH_MESSAGE;
use baton_protocol::{CONTROL_CHANNEL, LegId, MediaKind, PULSE_CHANNEL, PathFromHost};
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::Slot as InterceptorSlot;
use rtc::rtp_transceiver::RTCRtpTransceiverId;
use rtc::rtp_transceiver::rtp_sender::{RTCRtpHeaderExtensionCapability, RtpCodecKind};
use tokio::sync::{Notify, mpsc};
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::error::Result;
use webrtc::media_stream::track_remote::TrackRemote;
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, RTCConfiguration, RTCConfigurationBuilder,
    RTCIceServer, RTCSessionDescription, Registry, SettingEngine, SettingEngineBuilder,
    SrtpProtectionProfile, register_default_interceptors,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit, RtpTransceiver};

use super::arrivals::{Arrivals, ExtensionId, TRANSPORT_CC};
use super::echoes::{self, Arrived, Echoes};
use super::indoors::{self, Indoors};
use super::keyframes::{self, KeyframeRequests};
use super::prober::Prober;
use super::receiver::{Frames, Receiver};
use super::reporter::Reporter;
use super::sender::Sender;
use super::{Command, LegEvent, LegEvents, LegPlan, Offer, Slot};
use crate::offer::{ORIGIN, Section};
use crate::publish::AUDIO_LEVEL;

/// Receive slots by the transceiver that fills them.
pub(super) type Slots = HashMap<RTCRtpTransceiverId, (Slot, Section)>;

/// Runs a leg until its handle is dropped. An error ends it at once.
pub(super) async fn run(
    plan: LegPlan,
    mut commands: mpsc::Receiver<Command>,
    events: LegEvents,
) -> Result<()> {
    let (reporter, mut tracks) = mpsc::channel(TRACKS);
    let reporter = Reporter {
        leg: plan.id,
        events: events.clone(),
        tracks: reporter,
        connected: Arc::default(),
    };
    let connected = Arc::clone(&reporter.connected);
    let arrivals = ExtensionId::default();
    let (listener, echoes) = mpsc::channel(ECHOES);
    let connection = build(&plan, reporter, Arc::clone(&arrivals), listener).await?;
    let served = serve(
        &connection,
        &plan,
        &connected,
        (&arrivals, echoes),
        &mut commands,
        &mut tracks,
        &events,
    )
    .await;
    let closed = connection.close().await;
    served.and(closed)
}

async fn serve(
    connection: &impl PeerConnection,
    plan: &LegPlan,
    connected: &Notify,
    (arrivals, echoes): (&ExtensionId, mpsc::Receiver<Arrived>),
    commands: &mut mpsc::Receiver<Command>,
    tracks: &mut mpsc::Receiver<Arc<dyn TrackRemote>>,
    events: &LegEvents,
) -> Result<()> {
    let frames = plan.frames.clone().map(|stage| Frames {
        leg: plan.id,
        stage,
    });
    let control = open_channels(connection, plan.id, events).await?;
    let (offer, (senders, prober), slots) = offer(connection, plan, echoes).await?;
    let mut sections = slots.values().map(|(_, section)| section);
    if let Some(id) = sections.find_map(|section| section.extension(TRANSPORT_CC)) {
        arrivals.get_or_init(|| id);
    }
    let description = RTCSessionDescription::offer(offer.sdp.clone())?;
    // First the offer, then the candidates that applying it makes.
    if events
        .send((plan.id, LegEvent::Offer(offer)))
        .await
        .is_err()
    {
        return Ok(());
    }
    connection.set_local_description(description).await?;
    let (mut is_connected, mut is_publishing) = (false, false);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Accept(sdp)) => {
                    connection.set_remote_description(RTCSessionDescription::answer(sdp)?).await?;
                }
                Some(Command::Tell(message)) => {
                    let text = serde_json::to_string(&message).expect("a message is always JSON");
                    control.send_text(&text).await?;
                }
                Some(Command::Publish(wanted)) => {
                    is_publishing = wanted;
                    if !wanted {
                        senders.iter().for_each(Sender::stop);
                    } else if is_connected {
                        senders.iter().for_each(Sender::start);
                    }
                }
                Some(Command::Probe(wanted)) => match (&prober, wanted) {
                    (Some(prober), Some(wanted)) if is_connected => prober.start(wanted, events.clone()),
                    (Some(prober), None) => prober.stop(),
                    (Some(_) | None, _) => {}
                },
                None => return Ok(()),
            },
            Some(track) = tracks.recv() => {
                let receiver = Receiver::new(track, slots.clone(), frames.clone());
                tokio::spawn(receiver.run());
            }
            () = connected.notified() => {
                is_connected = true;
                if is_publishing {
                    senders.iter().for_each(Sender::start);
                }
            }
        }
    }
}

async fn build(
    plan: &LegPlan,
    reporter: Reporter,
    arrivals: ExtensionId,
    listener: mpsc::Sender<Arrived>,
) -> Result<impl PeerConnection> {
    let mut media = MediaEngine::default();
    media.register_default_codecs()?;
    let audio_level = RTCRtpHeaderExtensionCapability {
        uri: AUDIO_LEVEL.to_owned(),
    };
    media.register_header_extension(audio_level, RtpCodecKind::Audio, None)?;
    // Nobody who only counts needs it.
    let kinds = [RtpCodecKind::Audio, RtpCodecKind::Video];
    for kind in kinds.into_iter().filter(|_| plan.frames.is_some()) {
        let origin = RTCRtpHeaderExtensionCapability {
            uri: ORIGIN.to_owned(),
        };
        media.register_header_extension(origin, kind, None)?;
    }
    let requests = KeyframeRequests::listen(plan.publications.clone());
    // Registers what is offered; the interceptor itself is then another one.
    let registry = register_default_interceptors(Registry::new(), &mut media)?;
    let interceptors = registry
        .with(InterceptorSlot::TwccReceiver, Arrivals::new(arrivals))
        .with(keyframes::SLOT.into(), requests)
        .with(echoes::SLOT.into(), Echoes::listen(listener));
    let mut builder = PeerConnectionBuilder::new();
    let mut addresses = vec!["0.0.0.0:0", "[::]:0"];
    if let Some(inside) = &plan.inside {
        addresses = vec![indoors::address(inside)];
        builder = builder.with_runtime(Indoors::runtime(inside.clone())?);
    } else if plan.is_loopback {
        addresses.extend(["127.0.0.1:0", "[::1]:0"]);
    }
    builder
        .with_configuration(configuration(plan))
        .with_media_engine(media)
        .with_setting_engine(settings(plan.is_loopback || plan.inside.is_some()))
        .with_interceptor_registry(interceptors)
        .with_handler(Arc::new(reporter))
        .with_udp_addrs(addresses)
        .with_data_channel_send_buffer_limit(SEND_BUFFER)
        .build()
        .await
}

fn configuration(plan: &LegPlan) -> RTCConfiguration {
    // Nothing that is inside has to be found.
    let servers = plan.ice_servers.iter().filter(|_| plan.inside.is_none());
    let servers = servers.map(|server| RTCIceServer {
        urls: server.urls.clone(),
        username: server.username.clone().unwrap_or_default(),
        credential: server.credential.clone().unwrap_or_default(),
    });
    RTCConfigurationBuilder::new()
        .with_ice_servers(servers.collect())
        .build()
}

fn settings(is_loopback: bool) -> SettingEngine {
    SettingEngineBuilder::new()
        // GCM costs a quarter of the other; the host takes the first it knows.
        .with_srtp_protection_profiles(vec![
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        ])
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(is_loopback)
        .with_ice_timeouts(Some(ICE_SHAKY), Some(ICE_FAILED), Some(ICE_KEEPALIVE))
        .build()
}

/// Both channels are agreed on by number; the returned one is `control`.
async fn open_channels(
    connection: &impl PeerConnection,
    leg: LegId,
    events: &LegEvents,
) -> Result<Arc<dyn DataChannel>> {
    let control = RTCDataChannelInit {
        ordered: true,
        negotiated: Some(CONTROL_CHANNEL),
        ..RTCDataChannelInit::default()
    };
    let pulse = RTCDataChannelInit {
        ordered: false,
        max_retransmits: Some(0),
        negotiated: Some(PULSE_CHANNEL),
        ..RTCDataChannelInit::default()
    };
    let control = connection
        .create_data_channel("control", Some(control))
        .await?;
    let pulse = connection.create_data_channel("pulse", Some(pulse)).await?;
    tokio::spawn(listen(Arc::clone(&control), leg, events.clone(), true));
    tokio::spawn(listen(pulse, leg, events.clone(), false));
    Ok(control)
}

/// Reads a data channel until it is closed.
async fn listen(channel: Arc<dyn DataChannel>, leg: LegId, events: LegEvents, is_control: bool) {
    while let Some(event) = channel.poll().await {
        let event = if let DataChannelEvent::OnMessage(message) = event {
            read(&message.data).map(LegEvent::Path)
        } else if is_control && matches!(event, DataChannelEvent::OnOpen) {
            Some(LegEvent::Ready)
        } else if is_control && matches!(event, DataChannelEvent::OnClose) {
            let reason = "the host closed the control channel";
            Some(LegEvent::Ended(reason.to_owned()))
        } else {
            None
        };
        if let Some(event) = event
            && events.send((leg, event)).await.is_err()
        {
            return;
        }
    }
}

fn read(bytes: &[u8]) -> Option<PathFromHost> {
    if bytes.len() > MAX_PATH_MESSAGE {
        return None;
    }
    match serde_json::from_slice(bytes) {
        Ok(PathFromHost::Unknown) => None,
        Ok(message) => Some(message),
        Err(error) => {
            tracing::debug!(%error, "the host sent a message that makes no sense; it is ignored");
            None
        }
    }
}

/// Publications first, then the slots, then the m-line for probes. The numbers of the m-lines are known once there is an offer.
async fn offer(
    connection: &impl PeerConnection,
    plan: &LegPlan,
    echoes: mpsc::Receiver<Arrived>,
) -> Result<(Offer, (Vec<Sender>, Option<Prober>), Slots)> {
    let mut senders = Vec::with_capacity(plan.publications.len());
    for publication in &plan.publications {
        senders.push(Sender::add(connection, plan.id, publication.clone()).await?);
    }
    let mut receivers = Vec::with_capacity(plan.audio_slots + plan.video_slots);
    let audio = std::iter::repeat_n(MediaKind::Audio, plan.audio_slots);
    for kind in audio.chain(std::iter::repeat_n(MediaKind::Video, plan.video_slots)) {
        let init = RTCRtpTransceiverInit {
            direction: RTCRtpTransceiverDirection::Recvonly,
            ..RTCRtpTransceiverInit::default()
        };
        let codecs = match kind {
            MediaKind::Audio => RtpCodecKind::Audio,
            MediaKind::Video => RtpCodecKind::Video,
        };
        let receiver = connection
            .add_transceiver_from_kind(codecs, Some(init))
            .await?;
        receivers.push((receiver, kind));
    }
    let mut prober = match plan.is_probed {
        true => Some(Prober::add(connection, plan.id, echoes).await?),
        false => None,
    };
    let sdp = connection.create_offer(None).await?.sdp;
    if let Some(prober) = &mut prober {
        prober.offer(&sdp).await?;
    }
    let mut tracks = Vec::with_capacity(senders.len());
    for sender in &mut senders {
        tracks.push(sender.offer(&sdp).await?);
    }
    let mut slots = Vec::with_capacity(receivers.len());
    let mut by_transceiver = Slots::new();
    for (receiver, kind) in receivers {
        let slot = Slot {
            mid: mid(receiver.as_ref()).await?,
            kind,
            reception: Arc::default(),
        };
        let section = Section::find(&sdp, &slot.mid).unwrap_or_default();
        by_transceiver.insert(receiver.id(), (slot.clone(), section));
        slots.push(slot);
    }
    let offer = Offer { sdp, tracks, slots };
    Ok((offer, (senders, prober), by_transceiver))
}

pub(super) async fn mid(transceiver: &dyn RtpTransceiver) -> Result<String> {
    let mid = transceiver.mid().await?;
    Ok(mid.expect("an offer numbers every m-line"))
}

/// Received tracks whose reader has not started yet.
const TRACKS: usize = 128;

/// Reports of arrivals that wait for the probe.
const ECHOES: usize = 64;

/// Bytes that wait on one data channel before a sender has to.
const SEND_BUFFER: usize = 256 * 1024;

const ICE_SHAKY: Duration = Duration::from_secs(3);
const ICE_FAILED: Duration = Duration::from_secs(7);
const ICE_KEEPALIVE: Duration = Duration::from_secs(1);
