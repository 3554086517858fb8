use super::*;
use crate::engine::Engine;
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

fn opens(audit: &Audit) -> bool {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: std::time::Duration::ZERO,
        own_node: OwnNode::Report,
    };
    let metrics = Arc::new(Metrics::of_model(Engine::LlamaCpp));
    let core = Arc::new(Core::new(Machine::new(config, "pod", Session::random())));
    audit
        .open(&http::Method::GET, None, core, metrics)
        .is_some()
}

#[test]
fn a_log_that_nobody_reads_refuses_requests() {
    let (go, wait) = std::sync::mpsc::channel();
    let audit = Audit::start(Stuck(wait)).unwrap();
    // Lines in the queue, and one that the writer holds.
    let taken = (0..2 * QUEUE).take_while(|_| opens(&audit)).count();
    assert!((QUEUE..=QUEUE + 1).contains(&taken), "{taken}");
    drop(go);
}

#[test]
fn a_log_that_is_closed_refuses_requests() {
    let audit = Audit::start(Closed).unwrap();
    let begun = Instant::now();
    while opens(&audit) {
        assert!(begun.elapsed().as_secs() < 10);
    }
}
