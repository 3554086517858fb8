//! The bridge as a process, under a gate played by the test.

use std::time::{Duration, Instant};

use nix::unistd::Pid;
use sealroom::seal::lease::{Runtime, Word};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::gate::bed::{PATIENCE, binary};
use crate::launch::bed::{FakeGate, Launch, Lease, gone};

/// A server that starts a process which leaves its group, says who both are, and does to its bridge's socket what it is
/// told. perl-base is on every Debian.
const SERVER: &str = r#"
use strict;
use warnings;
use IO::Socket::UNIX;
use POSIX ();

$| = 1;
# Whatever a test leaves behind ends by itself.
alarm 120;
my $socket = shift;
my $kept;
sub listens { $kept = IO::Socket::UNIX->new(Local => $_[0], Listen => 5) or die "listen: $!"; chmod 0666, $_[0] }
my $stray = fork // die;
if (!$stray) {
    POSIX::setsid();
    open STDIN, '<', '/dev/null'; open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    sleep 100;
    exit;
}
print "$$ $stray\n";
while (my $word = <STDIN>) {
    chomp $word;
    if ($word eq 'unlink') { unlink $socket or die }
    elsif ($word eq 'move') { rename $socket, "$socket.aside" or die }
    elsif ($word eq 'shut') { chmod 0600, $socket or die }
    elsif ($word eq 'directory') { unlink $socket or die; mkdir $socket or die; mkdir "$socket/more" or die }
    elsif ($word eq 'rebind') { unlink $socket or die; listens($socket) }
    elsif ($word eq 'replace') { listens("$socket.own"); rename "$socket.own", $socket or die }
}
"#;

fn bridge(gate: &FakeGate) -> Launch {
    let mut command = Command::new(binary());
    command
        .args(["bridge", "--drain-seconds", "10"])
        .arg("--lease-socket")
        .arg(gate.path("lease.sock"))
        .arg("--socket")
        .arg(gate.path("runtime.sock"))
        .args(["--", "/usr/bin/perl", "-e", SERVER])
        .arg(gate.path("runtime.sock"));
    Launch::spawn(&mut command)
}

/// A new child, which lives as long as the connection, and what it says of itself.
async fn child(gate: &FakeGate) -> (BufReader<UnixStream>, Vec<Pid>) {
    let stream = UnixStream::connect(gate.path("runtime.sock")).await;
    let mut stream = BufReader::new(stream.unwrap());
    let mut said = String::new();
    let read = timeout(PATIENCE, stream.read_line(&mut said)).await;
    read.unwrap().unwrap();
    let pids = said.split_whitespace().map(|pid| pid.parse().unwrap());
    (stream, pids.map(Pid::from_raw).collect())
}

/// The lease goes on meanwhile.
async fn under<T>(lease: &mut Lease, word: Word, done: impl Future<Output = T>) -> T {
    let says = async {
        while lease.try_say(&word).await.is_ok() {
            sleep(Duration::from_millis(250)).await;
        }
        // The bridge has ended.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        done = done => done,
        () = says => unreachable!(),
    }
}

#[rstest::rstest]
#[case::gone("unlink", "it cannot be found there")]
#[case::moved_away("move", "it cannot be found there")]
#[case::a_directory("directory", "something else is there")]
#[case::another_bound("rebind", "something else is there")]
#[case::another_moved_over_it("replace", "something else is there")]
#[case::shut("shut", "its mode was changed")]
#[tokio::test]
async fn a_bridge_whose_server_takes_its_socket_ends_everything_and_serves_there_again(
    #[case] word: &str,
    #[case] found: &str,
) {
    let gate = FakeGate::new();
    let mut bridge = bridge(&gate);
    let mut lease = gate.accept().await;
    let running = |said: &Runtime| *said == Runtime::Running;
    lease.hold(&Word::Granted, running).await;
    let (mut connection, pids) = under(&mut lease, Word::Granted, child(&gate)).await;
    assert_eq!(pids.len(), 2);

    let line = format!("{word}\n");
    let told = connection.get_mut().write_all(line.as_bytes()).await;
    told.unwrap();
    let begun = Instant::now();
    // The gate is told, by the same bridge: it has the same lease.
    let ended = |said: &Runtime| matches!(said, Runtime::Ended { .. });
    let said = lease.hold(&Word::Granted, ended).await;
    assert_eq!(said, Runtime::Ended { code: 7 });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    gone(&pids).await;

    lease.hold(&Word::Granted, running).await;
    let (_connection, others) = under(&mut lease, Word::Granted, child(&gate)).await;
    assert_eq!(others.len(), 2);
    bridge.terminate();
    let code = under(&mut lease, Word::Drained, bridge.exit_code()).await;
    assert_eq!(code, Some(0));
    gone(&others).await;
    let printed = bridge.printed().await;
    let path = gate.text("runtime.sock");
    let why = format!("{path} is no longer the bridge's socket: {found}");
    assert_eq!(printed.matches(&why).count(), 1, "{printed}");
}
