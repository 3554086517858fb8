//! The end-to-end tests: what users and attackers do, on the real cluster.
//!
//! Tests that count packets run one after the other, those that wait beside them: two cores are soon busy.

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

mod adapters;
mod agree;
mod clients;
mod controls;
mod delete;
mod fail;
mod filter;
mod guard;
mod hole;
mod idle;
mod ingress;
mod languages;
mod load;
mod lock;
mod mcp;
mod modes;
mod ollama;
mod processes;
mod refuse;
mod restart;
mod rollout;
mod scale;
mod serve;
mod several;
mod sockets;
mod start;
mod stranger;
mod unenforced;

pub use idle::requests_of_the_operator;
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many tests held.
    pub passed: usize,
    /// Those that did not, each with its reason in a line.
    pub failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

/// Longest reason of a failure in the last lines of a run, in characters; all of it is above them.
const MAX_REASON: usize = 600;

fn in_a_line(name: &str, error: &anyhow::Error) -> String {
    let words: Vec<_> = format!("{error:#}")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let reason: String = words.join(" ").chars().take(MAX_REASON).collect();
    format!("{name}: {reason}")
}

/// Tests that run one after the other.
type Lane = Vec<Case>;

/// Every test. Groups run one after the other, the lanes of a group at once. Beside a test that expects no
/// packet outside there is none that lets some out, and whoever counts requests or breaks something has namespaces
/// of his own beside him or nobody. What asks the assistant in one lane is over before another test breaks it.
fn groups() -> Vec<Vec<Lane>> {
    let each = |cases: Vec<Case>| cases.into_iter().map(|case| vec![case]);
    let join = |one: Vec<Case>, other: Vec<Case>| one.into_iter().chain(other).collect();
    // Most of these wait: what needs a processor that is not busy runs beside them.
    let mut waiting: Vec<Lane> = each(refuse::cases())
        .chain(each(clients::cases()))
        .collect();
    waiting.push(join(serve::cases(), guard::cases()));
    waiting.push(rollout::cases());
    waiting.push(join(ingress::cases(), scale::cases()));
    vec![
        waiting,
        vec![
            join(hole::cases(), fail::cases()),
            join(ollama::cases(), several::cases()),
            join(
                join(lock::cases(), modes::cases()),
                join(clients::written(), delete::cases()),
            ),
            join(adapters::cases(), mcp::lives()),
            mcp::cases(),
            mcp::examples(),
        ],
        // Fifty pods at once leave nobody else a processor.
        vec![start::silent()],
        vec![restart::cases()],
        vec![join(join(lock::loud(), hole::loud()), mcp::loud())],
        // Their pods are not the operator's, whose requests the other lane counts.
        each(start::loud()).chain([idle::cases()]).collect(),
        vec![controls::cases(), agree::cases()],
        vec![unenforced::cases()],
    ]
}

/// Whether a test of these needs is chosen: its name contains one of the parts.
fn any(needs: Needs, filter: &[&str]) -> bool {
    count(needs, filter) > 0
}

fn count(needs: Needs, filter: &[&str]) -> usize {
    let cases = groups().into_iter().flatten().flatten();
    cases.filter(|case| case.chosen(needs, filter)).count()
}

impl Case {
    fn chosen(&self, needs: Needs, filter: &[&str]) -> bool {
        self.needs == needs && filter.iter().any(|part| self.name.contains(part))
    }
}

/// Runs those of `needs` whose name contains one of the parts of `filter`, and prints a line for each.
pub async fn run(stage: &Stage, needs: Needs, filter: &[&str]) -> Tally {
    let mut tally = Tally::default();
    for group in groups() {
        let lanes = group.into_iter().map(async |lane| {
            let mut tally = Tally::default();
            for case in lane.iter().filter(|case| case.chosen(needs, filter)) {
                tally.add(one(stage, case).await);
            }
            tally
        });
        for lane in futures::future::join_all(lanes).await {
            tally.add(lane);
        }
    }
    tally
}

async fn one(stage: &Stage, case: &Case) -> Tally {
    let begun = Instant::now();
    let result = (case.run)(stage).await;
    let seconds = begun.elapsed().as_secs_f32();
    match result {
        Ok(()) => {
            println!("e2e ok     {:<52} {seconds:>6.1}s", case.name);
            Tally {
                passed: 1,
                failed: vec![],
            }
        }
        Err(error) => {
            println!("e2e FAILED {:<52} {seconds:>6.1}s\n{error:#}", case.name);
            stage.describe(case.name).await;
            Tally {
                passed: 0,
                failed: vec![in_a_line(case.name, &error)],
            }
        }
    }
}

/// Every cluster that the tests need, one after the other: two nodes with both locks, the same without the
/// kernel lock, and one where nothing enforces policies.
///
/// # Errors
/// When a part of `filter` chooses no test, a cluster or the operator does not come up, or a test failed.
pub async fn whole(
    shape: &Shape,
    operator: &Path,
    unlocked: &Path,
    filter: &str,
    keep: bool,
) -> Result<()> {
    let cases = groups().into_iter().flatten().flatten();
    let names: Vec<&str> = cases.map(|case| case.name).collect();
    let parts = filter::parts(filter, &names)?;
    let filter = parts.as_slice();
    let mut tally = Tally::default();
    let enforced = [
        (Needs::BothLocks, operator),
        (Needs::NetworkLockAlone, unlocked),
    ];
    if enforced.iter().any(|(needs, _)| any(*needs, filter)) {
        let work = async {
            for (needs, program) in enforced
                .into_iter()
                .filter(|(needs, _)| any(*needs, filter))
            {
                tally.add(run(&prepared(shape, program, true).await?, needs, filter).await);
            }
            Ok(())
        };
        Cluster::new(shape)?.during(keep, work).await?;
    }
    // A cluster that stays is not exchanged for another one.
    let skipped = if keep {
        count(Needs::Unenforced, filter)
    } else {
        0
    };
    if any(Needs::Unenforced, filter) && !keep {
        let shape = Shape {
            nodes: 1,
            cni: Cni::Ptp,
            ..shape.clone()
        };
        let work = async {
            let stage = prepared(&shape, unlocked, true).await?;
            Ok(run(&stage, Needs::Unenforced, filter).await)
        };
        tally.add(Cluster::new(&shape)?.during(keep, work).await?);
    }
    println!(
        "e2e: {} passed, {} failed, {skipped} skipped",
        tally.passed,
        tally.failed.len()
    );
    ensure!(
        tally.failed.is_empty(),
        "these end-to-end tests failed:\n{}",
        tally.failed.join("\n")
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
    let (images, artifact) = (pushed.images, pushed.model.oras);
    let operator = std::path::absolute(program)?;
    Ok(Stage::new(world, cluster, operator, images, artifact))
}
