use std::net::IpAddr;

use tokio::net::TcpListener;

use super::Observation::{Answered, Connected, Denied, Error, Refused, Silence, Unreachable};
use super::*;
use crate::seal::wire::Control;

mod namespace;

const NONCE: &str = "0123456789abcdef0123456789abcdef";
const WAIT: Duration = Duration::from_millis(600);

fn loopback() -> [IpAddr; 2] {
    [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
}

async fn asked(kind: TargetKind, addr: SocketAddr, proto: Proto) -> Observation {
    dial(kind, addr, proto, NONCE, WAIT).await.observation
}

#[tokio::test]
async fn a_listener_is_connected_to_and_hears_nothing_unless_it_is_a_canary() {
    for ip in loopback() {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).await.unwrap();
            heard
        });
        assert_eq!(asked(TargetKind::Dial, addr, Proto::Tcp).await, Connected);
        assert_eq!(peer.await.unwrap(), b"");
    }
}

#[tokio::test]
async fn a_canary_hears_the_nonce_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; canary_text(NONCE).len()];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(b"seen\n").await.unwrap();
        heard
    });
    assert_eq!(asked(TargetKind::Canary, addr, Proto::Tcp).await, Answered);
    assert_eq!(peer.await.unwrap(), canary_text(NONCE));
}

#[tokio::test]
async fn a_peer_that_never_speaks_is_still_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    assert_eq!(asked(TargetKind::Canary, addr, Proto::Tcp).await, Connected);
}

#[tokio::test]
async fn a_closed_port_refuses_over_both_transports_and_families() {
    for ip in loopback() {
        let tcp = TcpListener::bind((ip, 0)).await.unwrap();
        let udp = UdpSocket::bind((ip, 0)).await.unwrap();
        let closed = [
            (tcp.local_addr().unwrap(), Proto::Tcp),
            (udp.local_addr().unwrap(), Proto::Udp),
        ];
        drop((tcp, udp));
        for (addr, proto) in closed {
            assert_eq!(
                asked(TargetKind::Dial, addr, proto).await,
                Refused,
                "{addr}"
            );
        }
    }
}

/// A listener whose backlog is full lets the kernel drop what comes: the silence of a wall.
#[tokio::test]
async fn a_dropped_connect_is_silence_of_the_whole_wait() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    let _listener = socket.listen(0).unwrap();
    let _first = TcpStream::connect(addr).await.unwrap();
    let observed = asked(TargetKind::Dial, addr, Proto::Tcp).await;
    assert!(
        matches!(observed, Silence { waited_ms } if waited_ms >= 600),
        "{observed}"
    );
}

/// 255.255.255.255 needs SO_BROADCAST over UDP and has no route for TCP; a multicast group takes no TCP.
#[tokio::test]
async fn the_own_kernel_says_unreachable_or_denied() {
    let broadcast = "255.255.255.255:9".parse().unwrap();
    assert_eq!(asked(TargetKind::Dial, broadcast, Proto::Udp).await, Denied);
    let multicast = "224.0.0.1:9".parse().unwrap();
    assert_eq!(
        asked(TargetKind::Dial, multicast, Proto::Tcp).await,
        Unreachable
    );
}

#[tokio::test]
async fn a_mute_udp_peer_is_silence_of_the_whole_wait_and_hears_the_text_thrice() {
    for ip in loopback() {
        let peer = UdpSocket::bind((ip, 0)).await.unwrap();
        let addr = peer.local_addr().unwrap();
        let observed = asked(TargetKind::Canary, addr, Proto::Udp).await;
        let Silence { waited_ms } = observed else {
            panic!("{observed}");
        };
        assert!(waited_ms >= 600, "{waited_ms}");
        let mut heard = [0; 128];
        for _ in 0..DATAGRAMS {
            let length = peer.try_recv(&mut heard).unwrap();
            assert_eq!(heard[..length], canary_text(NONCE));
        }
    }
}

#[tokio::test]
async fn any_udp_answer_counts_also_from_another_port() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = peer.local_addr().unwrap();
    tokio::spawn(async move {
        let mut heard = [0; 128];
        // The first datagram is lost; the second is answered by somebody else.
        peer.recv_from(&mut heard).await.unwrap();
        let (_, from) = peer.recv_from(&mut heard).await.unwrap();
        other.send_to(b"", from).await.unwrap();
    });
    assert_eq!(asked(TargetKind::Dial, addr, Proto::Udp).await, Answered);
}

#[tokio::test]
async fn dns_is_asked_in_its_own_words() {
    let server = UdpSocket::bind("[::1]:0").await.unwrap();
    let addr = server.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let mut heard = [0; 512];
        let (length, from) = server.recv_from(&mut heard).await.unwrap();
        server.send_to(&heard[..length], from).await.unwrap();
        heard[..length].to_vec()
    });
    assert_eq!(asked(TargetKind::Dns, addr, Proto::Udp).await, Answered);
    assert_eq!(
        heard.await.unwrap()[2..],
        *b"\0\0\0\x01\0\0\0\0\0\0\x02id\x06server\0\0\x10\0\x03"
    );
}

#[tokio::test]
async fn targets_are_asked_at_once_and_answered_in_their_order() {
    let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = |addr, proto| Target {
        name: "t".to_owned(),
        required: true,
        kind: TargetKind::Dial,
        addr,
        proto,
        control: Control::Ok { rtt_micros: 40 },
    };
    let mut targets = vec![target(mute.local_addr().unwrap(), Proto::Udp); MAX_TARGETS - 1];
    targets.push(target(open.local_addr().unwrap(), Proto::Tcp));
    let begun = Instant::now();
    let observed = probe(&targets, NONCE).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "one after the other"
    );
    assert_eq!(observed.len(), MAX_TARGETS);
    assert_eq!(observed[MAX_TARGETS - 1], Connected);
    assert!(
        observed[..MAX_TARGETS - 1]
            .iter()
            .all(|seen| matches!(seen, Silence { waited_ms } if *waited_ms >= 1000)),
        "{observed:?}"
    );
}

/// What cannot be provoked on any machine.
#[rstest::rstest]
#[case(Errno::ECONNREFUSED, Refused)]
#[case(Errno::ENETUNREACH, Unreachable)]
#[case(Errno::EHOSTUNREACH, Unreachable)]
#[case(Errno::EACCES, Denied)]
#[case(Errno::EPERM, Denied)]
#[case(Errno::ETIMEDOUT, Silence { waited_ms: 700 })]
#[case(Errno::EADDRNOTAVAIL, Error(io::ErrorKind::AddrNotAvailable))]
#[case(Errno::ECONNRESET, Error(io::ErrorKind::ConnectionReset))]
fn errors_are_told_apart(#[case] errno: Errno, #[case] expected: Observation) {
    let error = io::Error::from(errno);
    assert_eq!(classify(&error, Duration::from_millis(700)), expected);
}

#[test]
fn a_lack_of_descriptors_or_families_says_nothing_about_the_network() {
    for errno in [
        Errno::EMFILE,
        Errno::ENFILE,
        Errno::ENOBUFS,
        Errno::EAFNOSUPPORT,
    ] {
        let seen = classify(&io::Error::from(errno), WAIT);
        assert!(matches!(seen, Error(_)), "{errno}: {seen}");
    }
}
