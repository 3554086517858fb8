use std::time::Duration;

use super::*;
use crate::seal::session::Session;
use crate::seal::state::{Config, OwnNode, WhenStale};

fn core() -> Core {
    let config = Config {
        when_stale: WhenStale::Serve,
        grace: Duration::ZERO,
        own_node: OwnNode::Report,
    };
    Core::new(Machine::new(config, "pod", Session::random()))
}

fn drain(core: &Core) -> Drain {
    core.watch().borrow().drain
}

#[test]
fn a_drain_that_is_over_moves_no_other_one() {
    let core = core();
    let first = core.drain(DrainFor::Runtime).unwrap();
    assert!(core.advance(first, Drain::Refusing));
    core.disconnected();
    assert!(!core.advance(first, Drain::Emptying));
    assert_eq!(drain(&core), Drain::No);

    let second = core.drain(DrainFor::Runtime).unwrap();
    assert!(!core.advance(first, Drain::Done));
    assert_eq!(drain(&core), Drain::LameDuck);
    assert!(core.advance(second, Drain::Done));
    assert!(core.advance(second, Drain::Refusing));
    assert_eq!(drain(&core), Drain::Done, "never back");
}

#[test]
fn the_pods_end_outlives_its_launch() {
    let core = core();
    let number = core.drain(DrainFor::Runtime).unwrap();
    assert_eq!(core.drain(DrainFor::Pod), None, "it goes on");
    core.disconnected();
    assert!(core.advance(number, Drain::Done));
    assert_eq!(drain(&core), Drain::Done);
}
