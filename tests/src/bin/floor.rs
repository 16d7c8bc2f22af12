//! The floor: the least that forwarding can cost on this machine, so that a host's cost can be told as a multiple of it.
//!
//! Receive with GRO, open, rewrite the header, seal with each subscriber's key, send with GSO. Static keys; no ICE,
//! DTLS, RTCP, statistics or repair. Prints one JSON line.

use std::io::{ErrorKind, IoSliceMut, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use baton_tests::cpu;
use baton_tests::traffic::{Camera, DATAGRAM, FRAME_EVERY, HEADER};
use clap::Parser;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const TAG: usize = 16;
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(about = "Measures the least that forwarding costs here")]
struct Options {
    /// Subscribers of the one publisher.
    #[arg(long)]
    subscribers: usize,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Namespace and address of the load.
    #[arg(long, num_args = 2, value_names = ["NAMESPACE", "ADDRESS"])]
    load: Vec<String>,
    /// Namespace and address of the forwarder.
    #[arg(long, num_args = 2, value_names = ["NAMESPACE", "ADDRESS"])]
    forwarder: Vec<String>,
}

/// What the forwarder has spent and done.
#[derive(Debug)]
struct Spent {
    time: Duration,
    packets: u64,
    sends: u64,
}

struct Subscriber {
    key: LessSafeKey,
    ssrc: u32,
    sequence: u16,
    address: SocketAddr,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let socket = bind_in(&options.forwarder)?;
    let host = socket.local_addr()?;
    let camera_socket = bind_in(&options.load)?;
    let sockets = (0..options.subscribers)
        .map(|_| bind_in(&options.load))
        .collect::<Result<Vec<_>>>()?;
    let addresses = sockets
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<Vec<_>, _>>()?;

    let (measures, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (spent, delivered) = std::thread::scope(|scope| {
        let forwarder = scope.spawn(|| {
            let spent = forward(&socket, &addresses, &measures, &is_over);
            is_over.store(true, Ordering::Relaxed);
            spent
        });
        let delivered = load(
            &camera_socket,
            host,
            &sockets,
            options.seconds,
            &measures,
            &is_over,
        );
        is_over.store(true, Ordering::Relaxed);
        (
            forwarder.join().expect("the forwarder does not panic"),
            delivered,
        )
    });
    let (spent, delivered) = (spent?, delivered?);
    let result = serde_json::json!({
        "nanos_per_packet": spent.time.as_nanos() as f64 / spent.packets.max(1) as f64,
        "packets": spent.packets,
        "packets_per_send": spent.packets as f64 / spent.sends.max(1) as f64,
        "loss": 1.0 - delivered as f64 / spent.packets.max(1) as f64,
    });
    writeln!(std::io::stdout(), "{result}")?;
    Ok(())
}

fn bind_in(place: &[String]) -> Result<UdpSocket> {
    let [namespace, address] = place else {
        anyhow::bail!("needs a namespace and an address")
    };
    let address: IpAddr = address.parse()?;
    let file = std::fs::File::open(format!("/run/netns/{namespace}"))
        .with_context(|| format!("namespace {namespace}"))?;
    let socket = std::thread::spawn(move || -> Result<UdpSocket> {
        use std::os::fd::AsFd;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        let socket = UdpSocket::bind((address, 0))?;
        let buffers = socket2::SockRef::from(&socket);
        buffers.set_recv_buffer_size(4 << 20)?;
        buffers.set_send_buffer_size(4 << 20)?;
        Ok(socket)
    });
    socket.join().expect("binding does not panic")
}

fn key(subscriber: u32) -> LessSafeKey {
    let mut bytes = [9; 16];
    bytes[..4].copy_from_slice(&subscriber.to_be_bytes());
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).expect("16 bytes"))
}

fn nonce(packet: &[u8]) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&packet[8..12]);
    bytes[10..].copy_from_slice(&packet[2..4]);
    Nonce::assume_unique_for_key(bytes)
}

/// The loop that is measured.
fn forward(
    socket: &UdpSocket,
    addresses: &[SocketAddr],
    measures: &AtomicBool,
    is_over: &AtomicBool,
) -> Result<Spent> {
    cpu::pin(1)?;
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    let publisher = key(u32::MAX);
    let mut subscribers: Vec<Subscriber> = addresses
        .iter()
        .zip(0..)
        .map(|(&address, ssrc)| Subscriber {
            key: key(ssrc),
            ssrc,
            sequence: 0,
            address,
        })
        .collect();
    let mut input = vec![0; BATCH_SIZE * 65_536];
    let mut plain = vec![0; 2_048 * DATAGRAM];
    let mut output = vec![0; 64 * DATAGRAM];
    let mut meta = [RecvMeta::default(); BATCH_SIZE];
    let mut start = None;
    let (mut packets, mut sends) = (0, 0);

    while !is_over.load(Ordering::Relaxed) {
        if start.is_none() && measures.load(Ordering::Relaxed) {
            start = Some(cpu::of_this_thread());
            (packets, sends) = (0, 0);
        }
        poll(
            &mut [PollFd::new(socket, PollFlags::IN)],
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 20_000_000,
            }),
        )?;
        let mut count = 0;
        loop {
            let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] = {
                let mut chunks = input.chunks_exact_mut(65_536);
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("a chunk per buffer")))
            };
            let received = match state.recv(UdpSockRef::from(socket), &mut buffers, &mut meta) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            for (buffer, meta) in buffers.iter_mut().zip(&meta[..received]) {
                for packet in buffer[..meta.len]
                    .chunks_exact(DATAGRAM)
                    .take(2_048 - count)
                {
                    let opened = &mut plain[count * DATAGRAM..][..DATAGRAM];
                    opened[..HEADER].copy_from_slice(&packet[..HEADER]);
                    let (sealed, tag) = packet[HEADER..].split_at(DATAGRAM - HEADER - TAG);
                    let payload = &mut opened[HEADER..DATAGRAM - TAG];
                    publisher.open_separate_gather(
                        nonce(packet),
                        Aad::from(&packet[..HEADER]),
                        sealed,
                        tag,
                        payload,
                    )?;
                    count += 1;
                }
            }
        }
        for subscriber in &mut subscribers {
            for run in plain[..count * DATAGRAM].chunks(50 * DATAGRAM) {
                for (packet, out) in run
                    .chunks_exact(DATAGRAM)
                    .zip(output.chunks_exact_mut(DATAGRAM))
                {
                    subscriber.seal(packet, out)?;
                }
                let contents = &output[..run.len()];
                let segment_size = (run.len() > DATAGRAM).then_some(DATAGRAM);
                let transmit = Transmit {
                    destination: subscriber.address,
                    ecn: None,
                    contents,
                    segment_size,
                    src_ip: None,
                };
                state.try_send(UdpSockRef::from(socket), &transmit)?;
                packets += (run.len() / DATAGRAM) as u64;
                sends += 1;
            }
        }
    }
    let time = cpu::of_this_thread().saturating_sub(start.unwrap_or_default());
    Ok(Spent {
        time,
        packets,
        sends,
    })
}

impl Subscriber {
    fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Result<()> {
        let (header, sealed) = out.split_at_mut(HEADER);
        header.copy_from_slice(&packet[..HEADER]);
        self.sequence = self.sequence.wrapping_add(1);
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        let plain = &packet[HEADER..DATAGRAM - TAG];
        self.key.seal_in_place_scatter(
            nonce(header),
            Aad::from(&*header),
            &mut [],
            plain,
            sealed,
        )?;
        Ok(())
    }
}

/// The camera and all who watch; tells how many packets arrived while it was measured.
fn load(
    camera_socket: &UdpSocket,
    host: SocketAddr,
    sockets: &[UdpSocket],
    seconds: u64,
    measures: &AtomicBool,
    is_over: &AtomicBool,
) -> Result<u64> {
    cpu::pin(0)?;
    let states = sockets
        .iter()
        .map(|socket| UdpSocketState::new(UdpSockRef::from(socket)))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut camera, publisher) = (Camera::new(1), key(u32::MAX));
    let mut buffer = vec![0; 65_536];
    let start = Instant::now();
    let mut next_frame = start;
    let mut delivered = 0;
    while start.elapsed() < WARM_UP + Duration::from_secs(seconds)
        && !is_over.load(Ordering::Relaxed)
    {
        if !measures.load(Ordering::Relaxed) && start.elapsed() >= WARM_UP {
            measures.store(true, Ordering::Relaxed);
            delivered = 0;
        }
        for (_, mut packet) in camera.frame() {
            let nonce = nonce(&packet);
            let (header, payload) = packet.split_at_mut(HEADER);
            let tag = publisher.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)?;
            packet.extend_from_slice(tag.as_ref());
            camera_socket.send_to(&packet, host)?;
        }
        next_frame += FRAME_EVERY;
        while let Some(rest) = next_frame
            .checked_duration_since(Instant::now())
            .filter(|rest| !rest.is_zero())
        {
            for (socket, state) in sockets.iter().zip(&states) {
                let mut meta = [RecvMeta::default()];
                while let Ok(1..) = state.recv(
                    UdpSockRef::from(socket),
                    &mut [IoSliceMut::new(&mut buffer)],
                    &mut meta,
                ) {
                    delivered += meta[0].len.div_ceil(meta[0].stride.max(1)) as u64;
                }
            }
            std::thread::sleep(rest.min(Duration::from_millis(2)));
        }
    }
    Ok(delivered)
}
