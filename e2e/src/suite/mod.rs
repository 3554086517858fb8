//! The end-to-end tests: what users and attackers do, on the real cluster.
//!
//! Tests run one after the other, because they count packets and because two cores are soon busy.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::cluster::{Cluster, Cni, Shape};
use crate::install;
use crate::world::World;

pub mod fixtures;
mod stage;

mod agree;
mod controls;
mod delete;
mod hole;
mod idle;
mod lock;
mod refuse;
mod serve;
mod start;
mod unenforced;

pub use stage::{Images, Stage};

/// This crate's program in the tool image.
pub const PROGRAM: &str = "/sealroom-e2e";

/// One test's future.
pub type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One test.
pub struct Case {
    /// `room/what_holds`.
    pub name: &'static str,
    /// Which cluster it needs.
    pub needs: Needs,
    /// The test itself: an error is a failure.
    pub run: for<'a> fn(&'a Stage) -> Running<'a>,
}

/// What a test needs of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Policies are enforced; both locks are on.
    BothLocks,
    /// Policies are enforced; the kernel lock is off, so that the network lock is measured alone.
    NetworkLockAlone,
    /// Nothing enforces policies.
    Unenforced,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that held.
    pub passed: usize,
    /// Tests that did not.
    pub failed: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Every test, in the order in which they run.
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        serve::cases(),
        idle::cases(),
        lock::cases(),
        hole::cases(),
        start::cases(),
        delete::cases(),
        controls::cases(),
        agree::cases(),
        refuse::cases(),
        unenforced::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Rooms that `make test` leaves to `make soak`, because a run of it has no time for them.
const LONG: [&str; 4] = ["agree/", "controls/", "refuse/", "start/without"];

/// Whether a run with this filter has the test in it: without a filter, all but the long ones, unless `SOAK` is
/// set.
fn wanted(case: &Case, filter: &str) -> bool {
    let soak = std::env::var_os("SOAK").is_some_and(|value| !value.is_empty());
    let long = LONG.iter().any(|room| case.name.starts_with(room));
    case.name.contains(filter) && (!filter.is_empty() || soak || !long)
}

/// Runs those of `needs` whose name contains `filter`, and prints a line for each.
pub async fn run(stage: &Stage, needs: Needs, filter: &str) -> Tally {
    let mut tally = Tally::default();
    for case in cases()
        .into_iter()
        .filter(|case| case.needs == needs && wanted(case, filter))
    {
        let begun = Instant::now();
        let result = (case.run)(stage).await;
        let seconds = begun.elapsed().as_secs_f32();
        match result {
            Ok(()) => {
                tally.passed += 1;
                println!("e2e ok     {:<52} {seconds:>6.1}s", case.name);
            }
            Err(error) => {
                tally.failed += 1;
                println!("e2e FAILED {:<52} {seconds:>6.1}s\n{error:#}", case.name);
                stage.describe(case.name).await;
            }
        }
    }
    tally
}

/// Every cluster that the tests need, one after the other: two nodes with both locks, the same without the
/// kernel lock, and one where nothing enforces policies.
///
/// # Errors
/// When a cluster or the operator does not come up, or a test failed.
pub async fn whole(
    shape: &Shape,
    operator: &Path,
    unlocked: &Path,
    filter: &str,
    keep: bool,
) -> Result<()> {
    let mut tally = Tally::default();
    let any = |needs: Needs| {
        cases()
            .iter()
            .any(|case| case.needs == needs && wanted(case, filter))
    };
    let enforced = [
        (Needs::BothLocks, operator),
        (Needs::NetworkLockAlone, unlocked),
    ];
    if enforced.iter().any(|(needs, _)| any(*needs)) {
        let cluster = Cluster::new(shape)?;
        cluster.up().await?;
        let result = async {
            for (needs, program) in enforced.into_iter().filter(|(needs, _)| any(*needs)) {
                tally.add(run(&prepared(shape, program, true).await?, needs, filter).await);
            }
            anyhow::Ok(())
        }
        .await;
        if !keep {
            cluster.down().await?;
        }
        result?;
    }
    if any(Needs::Unenforced) && !keep {
        let shape = Shape {
            nodes: 1,
            cni: Cni::Ptp,
            ..shape.clone()
        };
        let cluster = Cluster::new(&shape)?;
        cluster.up().await?;
        let result = async {
            anyhow::Ok(
                run(
                    &prepared(&shape, unlocked, true).await?,
                    Needs::Unenforced,
                    filter,
                )
                .await,
            )
        }
        .await;
        cluster.down().await?;
        tally.add(result?);
    }
    println!(
        "e2e: {} passed, {} failed, 0 skipped",
        tally.passed, tally.failed
    );
    ensure!(
        tally.failed == 0,
        "{} end-to-end test(s) failed",
        tally.failed
    );
    Ok(())
}

/// A stage on the running cluster, with this program as the operator.
///
/// # Errors
/// When something cannot be built, pushed or installed.
pub async fn prepared(shape: &Shape, program: &Path, hostile: bool) -> Result<Stage> {
    let cluster = Cluster::new(shape)?;
    let world = World::new(cluster.environment()?).await?;
    let pushed = install::push(&cluster, program, hostile).await?;
    install::install(&world, &pushed).await?;
    Ok(Stage::new(world, cluster, pushed.images, pushed.model.oras))
}
