//! Probes in a network namespace whose routes do what walls do. It ends with its only process, so nothing is
//! left to clean up.

use std::process::Command;

use super::*;

/// Set inside the namespace.
const INSIDE: &str = "SEALROOM_TEST_NAMESPACE";

/// One end of a veth pair sends to a neighbour that nobody is, so it swallows everything; two routes refuse in
/// the kernel; the rest has no route.
const ROUTES: &str = "
set -e
ip link set lo up
ip link add swallow type veth peer name nobody
ip addr add 198.51.100.1/24 dev swallow
ip -6 addr add 2001:db8::1/64 dev swallow nodad
ip link set swallow up
ip link set nobody up
ip neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev swallow
ip -6 neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev swallow
ip route add prohibit 192.0.2.0/24
ip route add unreachable 203.0.113.0/24
ip -6 route add prohibit 2001:db8:1::/64
ip -6 route add unreachable 2001:db8:2::/64
exec \"$0\" --exact seal::probe::tests::namespace::walls_are_told_apart
";

#[test]
fn walls_are_told_apart() {
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(inside());
        return;
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "--", "sh", "-c", ROUTES])
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn inside() {
    let rows = [
        ("198.51.100.2:9", "silence"),
        ("[2001:db8::2]:9", "silence"),
        ("192.0.2.1:9", "denied"),
        ("[2001:db8:1::1]:9", "denied"),
        ("203.0.113.1:9", "unreachable"),
        ("[2001:db8:2::1]:9", "unreachable"),
        ("8.8.8.8:53", "unreachable"),
        ("[2001:4860:4860::8888]:53", "unreachable"),
        ("127.0.0.1:9", "refused"),
        ("[::1]:9", "refused"),
    ];
    let targets: Vec<Target> = rows
        .iter()
        .flat_map(|(addr, _)| {
            [Proto::Tcp, Proto::Udp].map(|proto| Target {
                name: "wall".to_owned(),
                required: true,
                kind: TargetKind::Canary,
                addr: addr.parse().unwrap(),
                proto,
                control: Control::Ok { rtt_micros: 1 },
            })
        })
        .collect();
    let observed = probe(&targets, NONCE).await;
    for (at, seen) in observed.iter().enumerate() {
        let (addr, expected) = rows[at / 2];
        let proto = targets[at].proto;
        assert!(
            seen.to_string().starts_with(expected),
            "{addr} {proto:?}: {seen}, not {expected}"
        );
        let (verdict, detail) = crate::seal::verdict::verdict(&targets[at], seen);
        assert_eq!(verdict, crate::seal::wire::Verdict::Blocked, "{detail}");
    }
}
