use std::sync::Mutex;

use super::*;
use crate::engine::Engine;
use crate::gate::core::{Drain, DrainFor};
use crate::seal::session::Session;
use crate::seal::state::{Config, Machine, OwnNode, WhenStale};

/// A log whose reader is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A log that nobody reads.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A log whose reader takes its time.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<u8>>>);

impl Slow {
    fn lines(&self) -> Vec<serde_json::Value> {
        let text = self.0.lock().unwrap();
        let lines = text.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(Duration::from_millis(20));
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn core() -> Core {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: std::time::Duration::ZERO,
        own_node: OwnNode::Report,
    };
    Core::new(Machine::new(config, "pod", Session::random()))
}

fn open(audit: &Audit, core: Core) -> Option<Record> {
    let metrics = Arc::new(Metrics::of_model(Engine::LlamaCpp));
    audit.open(&http::Method::GET, None, Arc::new(core), metrics)
}

fn opens(audit: &Audit) -> bool {
    open(audit, core()).is_some()
}

#[test]
fn a_log_that_nobody_reads_refuses_requests() {
    let (go, wait) = std::sync::mpsc::channel();
    let (audit, written) = Audit::start(Stuck(wait), 1).unwrap();
    // Lines in the queue, and one that the writer holds.
    let room = 1 + SPARE;
    let taken = (0..2 * room).take_while(|_| opens(&audit)).count();
    assert!((room..=room + 1).contains(&taken), "{taken}");
    drop(audit);
    assert!(
        !written.wait(Duration::from_millis(20)),
        "no end to wait for"
    );
    drop(go);
}

#[test]
fn the_end_waits_for_every_line() {
    let log = Slow::default();
    let (audit, written) = Audit::start(log.clone(), 1).unwrap();
    let opened = (0..5).filter(|_| opens(&audit)).count();
    drop(audit);
    assert!(written.wait(Duration::from_secs(30)));
    assert_eq!((opened, log.lines().len()), (5, 5));
}

#[rstest::rstest]
#[case::shut(core(), "reset")]
#[case::client_gone(core().unsealed(), "clientClosed")]
#[case::drained({
    let core = core().unsealed();
    let number = core.drain(DrainFor::Pod).unwrap();
    assert!(core.advance(number, Drain::Done));
    core
}, "timeout")]
fn who_sees_no_end(#[case] core: Core, #[case] outcome: &str) {
    let log = Slow::default();
    let (audit, written) = Audit::start(log.clone(), 1).unwrap();
    drop(open(&audit, core));
    drop(audit);
    assert!(written.wait(Duration::from_secs(30)));
    assert_eq!(log.lines()[0]["outcome"], outcome);
}

#[test]
fn a_log_that_is_closed_refuses_requests() {
    let (audit, _) = Audit::start(Closed, 1).unwrap();
    let begun = Instant::now();
    while opens(&audit) {
        assert!(begun.elapsed().as_secs() < 10);
    }
}

/// As many as there may be are under way for as long as they like, and lines of others come and go.
#[test]
fn requests_under_way_take_no_line_of_others() {
    let under_way = 2 * SPARE;
    let (audit, _written) = Audit::start(std::io::sink(), under_way).unwrap();
    let open: Vec<_> = (0..under_way).map_while(|_| open(&audit, core())).collect();
    assert_eq!(open.len(), under_way);
    assert!(opens(&audit));
}

#[rstest::rstest]
#[case::as_it_is("find_it", "find_it")]
#[case::a_mark_of_direction("a\u{202e}b", "a\\u{202e}b")]
#[case::a_line("a\nb", "a\\u{a}b")]
#[case::of_a_megabyte(&"x".repeat(1024 * 1024), &format!("{}…", "x".repeat(127)))]
fn a_servers_name_of_a_tool_is_bounded(#[case] name: &str, #[case] expected: &str) {
    let log = Slow::default();
    let (audit, written) = Audit::start(log.clone(), 1).unwrap();
    let metrics = Arc::new(Metrics::of_mcp());
    let record = audit.open(&http::Method::POST, None, Arc::new(core()), metrics);
    let mut record = record.unwrap();
    record.rpc("tools/call", Some(name.to_owned()), "2025-11-25");
    drop(record);
    drop(audit);
    assert!(written.wait(Duration::from_secs(30)));
    assert_eq!(log.lines()[0]["tool"], expected);
}
