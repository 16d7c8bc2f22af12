//! The host over real sockets, with a stand-in for the engine.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use baton_protocol::HostMessage;

use super::*;

struct Rig {
    host: Host,
    commands: mpsc::Sender<HostCommand>,
    messages: mpsc::Receiver<HostMessage>,
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_reach_the_worker_of_their_room_whichever_socket_they_came_to() {
    let mut rig = rig(3);
    for n in 0..4 {
        rig.open(&format!("room-{n}")).await;
    }
    // Sixteen senders: the kernel puts them on sockets as it likes, and mostly not on the right one.
    for n in 0..16 {
        let sender = sender();
        let request = binding_request(&format!("room-{}", n % 4));
        assert_eq!(ask(&rig, &sender, &request), reversed(&request));
        assert_eq!(ask(&rig, &sender, b"media"), b"aidem");
    }
    let handed = rig.total(|s| s.traffic.handed_over).await;
    assert!(handed > 0, "nothing was handed over, so nothing was tested");
    assert_eq!(rig.total(|s| s.traffic.handover_dropped).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_senders_get_no_answer_and_are_counted() {
    let rig = rig(2);
    let sender = sender();
    sender.send_to(b"hello?", rig.host.media()).unwrap();
    sender
        .send_to(&binding_request("nobody"), rig.host.media())
        .unwrap();
    wait_until(async || rig.total(|s| s.traffic.unknown).await == 2).await;
    sender.set_nonblocking(true).unwrap();
    assert!(sender.recv(&mut [0; 100]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_reaches_the_worker_of_its_room_and_is_answered_on_it() {
    let mut rig = rig(3);
    let mut streams = Vec::new();
    for n in 0..6 {
        let room = format!("room-{n}");
        rig.open(&room).await;
        let mut stream = connection(&rig);
        let request = binding_request(&room);
        write_frame(&mut stream, &request);
        assert_eq!(read_frame(&mut stream), Some(reversed(&request)));
        // In two pieces, as networks cut them.
        stream.write_all(&[0, 5, b'm', b'e']).unwrap();
        stream.write_all(b"dia").unwrap();
        assert_eq!(read_frame(&mut stream), Some(b"aidem".to_vec()));
        write_frame(&mut stream, b"burst");
        for _ in 0..10 {
            assert_eq!(read_frame(&mut stream), Some(vec![1; 100]));
        }
        streams.push(stream);
    }
    assert_eq!(rig.total(|s| s.traffic.streams).await, 6);
    drop(streams);
    wait_until(async || rig.total(|s| s.traffic.streams).await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_for_nobody_is_closed_without_a_word() {
    let mut rig = rig(2);
    rig.open("a").await;
    let too_long = [0xff; 300].to_vec();
    let nonsense = b"GET / HTTP/1.1\r\nHost: baton\r\n\r\n".to_vec();
    let mut nobody = vec![0, u8::try_from(binding_request("nobody").len()).unwrap()];
    nobody.extend(binding_request("nobody"));
    for bytes in [too_long, nonsense, nobody, vec![0, 0]] {
        let mut stream = connection(&rig);
        stream.write_all(&bytes).unwrap();
        assert_eq!(read_frame(&mut stream), None);
    }
    let mut stream = connection(&rig);
    write_frame(&mut stream, &binding_request("a"));
    assert!(read_frame(&mut stream).is_some(), "others are served");
}

fn connection(rig: &Rig) -> TcpStream {
    let stream = TcpStream::connect(rig.host.media()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

fn write_frame(stream: &mut TcpStream, datagram: &[u8]) {
    let mut framed = Vec::new();
    assert!(framing::push(&mut framed, datagram));
    stream.write_all(&framed).unwrap();
}

/// `None`: the other side has closed the connection.
fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut prefix = [0; 2];
    match stream.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("an answer in time"),
        Err(_) => return None,
    }
    let mut datagram = vec![0; usize::from(u16::from_be_bytes(prefix))];
    stream.read_exact(&mut datagram).unwrap();
    Some(datagram)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_leaves_in_one_call_and_arrives_as_its_datagrams() {
    let mut rig = rig(1);
    rig.open("a").await;
    let sender = sender();
    ask(&rig, &sender, &binding_request("a"));
    let before = rig.total(|s| s.traffic.send_calls).await;
    sender.send_to(b"burst", rig.host.media()).unwrap();
    for _ in 0..10 {
        assert_eq!(sender.recv(&mut [0; 2000]).unwrap(), 100);
    }
    wait_until(async || rig.total(|s| s.traffic.send_calls).await > before).await;
    assert_eq!(rig.total(|s| s.traffic.send_calls).await, before + 1);
}

/// Round trips and the rise of a queue are measured by when reports came, not by when somebody had time for them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn reports_that_waited_are_taken_for_when_they_came() {
    let mut rig = rig(1);
    rig.open("a").await;
    let sender = sender();
    ask(&rig, &sender, &binding_request("a"));
    // What arrived, as a browser reports it (`queues`), so often that reports have to wait.
    let mut report = [7; 44];
    report[..4].copy_from_slice(&[0x8f, 205, 0, 5]);
    let start = *worker::standin::START;
    let micros = |at: Instant| i128::try_from((at - start).as_micros()).unwrap();
    let (mut early, mut late, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..60 {
        let before = Instant::now();
        for _ in 0..20 {
            sender.send_to(&report, rig.host.media()).unwrap();
        }
        let after = Instant::now();
        for _ in 0..20 {
            let told = receive(&sender).try_into().expect("a moment");
            let told = i128::from(u64::from_be_bytes(told));
            early.push(micros(before) - told);
            late.push(told - micros(after));
            waits.push(micros(Instant::now()) - micros(after));
        }
    }
    let median = |figures: &mut Vec<i128>| {
        figures.sort_unstable();
        figures[figures.len() / 2]
    };
    let waited = median(&mut waits);
    assert!(
        waited > 3_000,
        "nothing waited, so nothing was tested: {waited} us"
    );
    let late = median(&mut late);
    assert!(late < 1_000, "taken for {late} us later than they came");
    let early = median(&mut early);
    assert!(
        early < 1_000,
        "taken for {early} us earlier than they were sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_is_woken_when_it_asked_to_be() {
    let mut rig = rig(1);
    rig.open("a").await;
    let sender = sender();
    ask(&rig, &sender, &binding_request("a"));
    let asked = Instant::now();
    assert_eq!(ask(&rig, &sender, b"later"), b"now");
    let waited = asked.elapsed();
    assert!(
        waited >= Duration::from_millis(20) && waited < Duration::from_millis(900),
        "{waited:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_says_goodbye_on_every_leg() {
    let mut rig = rig(2);
    let senders: Vec<_> = (0..4).map(|_| sender()).collect();
    for (n, sender) in senders.iter().enumerate() {
        rig.open(&format!("r{n}")).await;
        ask(&rig, sender, &binding_request(&format!("r{n}")));
    }
    let snapshots = rig.host.snapshots();
    rig.host.stop(Duration::from_secs(5)).await;
    for sender in &senders {
        assert_eq!(receive(sender), b"goodbye");
    }
    assert!(
        !snapshots.are_fresh(Instant::now()),
        "a stopped worker passed for a living one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_link_delays_messages_and_loses_none() {
    let mut rig = rig(1);
    for n in 0..200 {
        let room = format!("room-{n}").parse().unwrap();
        rig.commands
            .send(HostCommand::CloseRoom { room })
            .await
            .unwrap();
    }
    let mut heard = 0;
    while heard < 200 {
        let next = tokio::time::timeout(Duration::from_secs(5), rig.messages.recv());
        next.await.expect("a message is missing").unwrap();
        heard += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_host_leaves_no_thread_behind() {
    let rig = rig(2);
    let snapshots = rig.host.snapshots();
    drop(rig.host);
    let ended = tokio::time::timeout(Duration::from_secs(5), snapshots.closed());
    ended.await.expect("a worker outlived its host");
}

#[test]
fn a_room_stays_with_its_worker_and_rooms_spread() {
    let pins = RandomState::new();
    let mut rooms = [0; 4];
    for n in 0..400 {
        let room: RoomId = format!("room-{n}").parse().unwrap();
        assert_eq!(pin(&pins, &room, 4), pin(&pins, &room, 4));
        rooms[pin(&pins, &room, 4)] += 1;
    }
    assert!(rooms.iter().all(|&n| n > 40), "{rooms:?}");
}

impl Rig {
    async fn open(&mut self, room: &str) {
        let room = room.parse().unwrap();
        self.commands
            .send(HostCommand::CloseRoom { room })
            .await
            .unwrap();
        let opened = tokio::time::timeout(Duration::from_secs(5), self.messages.recv());
        opened.await.expect("no word from the worker").unwrap();
    }

    /// Sum over the workers, as of their next snapshots.
    async fn total(&self, figure: impl Fn(&Snapshot) -> u64) -> u64 {
        let now = Instant::now();
        wait_until(async || {
            let latest = self.host.snapshots().latest();
            latest.iter().all(|s| s.taken.is_some_and(|at| at > now))
        })
        .await;
        self.host.snapshots().latest().iter().map(figure).sum()
    }
}

fn rig(workers: usize) -> Rig {
    let config = HostConfig {
        media: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        announce: Vec::new(),
        workers: NonZeroUsize::new(workers).unwrap(),
        tcp: true,
        kind: HostKind::Central,
        certificate: Certificate::generate().unwrap(),
        uplink_bps: None,
    };
    let (commands, inbox) = mpsc::channel(4);
    let (outbox, mut messages) = mpsc::channel::<HostMessage>(4);
    let link = HostLink {
        commands: inbox,
        messages: outbox,
    };
    let host = Host::start(&config, link).unwrap();
    assert_eq!(host.announced(), [host.media()]);
    let at = vec![host.media()];
    assert_eq!(messages.try_recv(), Ok(HostMessage::Reflects { at }));
    Rig {
        host,
        commands,
        messages,
    }
}

fn sender() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

fn ask(rig: &Rig, sender: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    sender.send_to(bytes, rig.host.media()).unwrap();
    receive(sender)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let size = socket.recv(&mut buffer).expect("an answer in time");
    buffer[..size].to_vec()
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

async fn wait_until(condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited too long");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A STUN binding request (RFC 8489 section 5) whose USERNAME starts with `ufrag`.
pub(crate) fn binding_request(ufrag: &str) -> Vec<u8> {
    let username = format!("{ufrag}:them");
    let padded = username.len().next_multiple_of(4);
    let size = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let mut bytes = vec![0, 1];
    bytes.extend(size(4 + padded));
    bytes.extend([0x21, 0x12, 0xa4, 0x42]);
    bytes.extend([7; 12]);
    bytes.extend([0, 6]);
    bytes.extend(size(username.len()));
    bytes.extend(username.bytes());
    bytes.resize(20 + 4 + padded, 0);
    bytes
}
