//! The gate in front of an MCP server.
//!
//! [`front`] is the endpoint, [`entrance`] what lets a request in and [`replies`] what comes of it, [`legacy`] and
//! [`modern`] the two eras of the protocol, [`child`] a connection to the bridge and so a process of the server, with what
//! goes over it in [`sending`] and [`hearing`], [`house`] and [`keeper`] have them, [`places`] bounds them, [`known`] is what
//! they said of the server, [`session`] is what a client of the legacy era holds, [`open`] a call in it, [`here`] what the
//! gate answers it, [`outbox`] and [`stream`] are what it reads, [`guests`] how long it may. [`resources`] has who hears of
//! single resources, [`telling`] how a child is asked for them, [`follow`] what becomes of that when it ends. [`through`] is
//! the way to a server that speaks HTTP, [`owners`] has whose the sessions are that it holds itself. What the messages mean
//! is in [`crate::mcp`].

pub mod across;
pub mod answers;
pub mod asking;
pub mod attend;
pub mod begin;
pub mod budget;
pub mod call;
pub mod calls;
pub mod changes;
pub mod child;
pub mod claims;
pub mod due;
pub mod entrance;
pub mod events;
pub mod fields;
pub mod follow;
pub mod front;
pub mod glances;
pub mod guests;
pub mod head;
pub mod hearing;
pub mod hello;
pub mod here;
pub mod hosts;
pub mod house;
pub mod http;
pub mod http_keeper;
pub mod interests;
pub mod keeper;
pub mod known;
pub mod legacy;
pub mod lines;
pub mod listeners;
pub mod live;
pub mod loose;
pub mod metrics;
pub mod modern;
pub mod oneway;
pub mod open;
pub mod outbox;
pub mod owners;
pub mod pace;
pub mod parked;
pub mod passed;
pub mod pinned;
pub mod pipes;
pub mod places;
pub mod pump;
pub mod questions;
pub mod reading;
pub mod replies;
pub mod resources;
pub mod secret;
pub mod sending;
pub mod session;
pub mod sessions;
pub mod shown;
pub mod slot;
pub mod stateless;
pub mod stream;
pub mod subscribed;
pub mod subscriptions;
pub mod telling;
pub mod through;
pub mod turns;
pub mod unheard;
pub mod unlisted;
pub mod waiting;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use ::http::Uri;
use prometheus_client::metrics::gauge::Gauge;

use self::http::Http;
use super::Patience;
use super::audit::Audit;
use super::bodies::Bodies;
use super::budgets::{self, Budgets};
use super::callers::Callers;
use super::core::Core;
use super::metrics::Metrics;
use super::queue::{self, Queue};
use crate::mcp::{Hash, Policy};
use budget::Budget;
use front::Front;
use guests::Guests;
use hosts::Hosts;
use house::{House, Isolation};
use listeners::Listeners;
use loose::Loose;
use pinned::Pinned;
use sessions::Sessions;
use shown::Shown;
use stateless::Stateless;

/// Between two looks for what has hung, was left, or whose caller is let in no longer: as often as the files of the
/// callers are read.
const LOOK: Duration = Duration::from_secs(1);
/// Sessions at once, also of a server that holds them itself; where each has a child, there are fewer of these.
const MAX_SESSIONS: usize = 4096;
/// Most bytes of answers on their way, also while they come: a quarter of the container's memory. A text that grows
/// can take as much again.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// Longest line of a child or answer of a server in one piece, as a multiple of the largest request.
const LINE: usize = 4;

/// What the gate of an MCP server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How children are had, where the server speaks over stdio.
    pub house: house::Config,
    /// Where it speaks HTTP instead: the port of 127.0.0.1, and the path.
    pub http: Option<(u16, Uri)>,
    /// How long a call of a session goes on whose answer nobody reads, where it is not the usual time.
    pub unread: Option<Duration>,
    /// Which tools there are for clients.
    pub policy: Policy,
    /// What the tools must be.
    pub pin: Option<Hash>,
    /// Under which names the endpoint may be asked for.
    pub hosts: Hosts,
}

/// What its clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body in bytes.
    pub max_body: usize,
    /// How long they and answers may take.
    pub patience: Patience,
    /// Requests at once, and those that wait.
    pub queue: queue::Config,
    /// Requests of each caller.
    pub budgets: budgets::Config,
}

/// The endpoint, and what keeps it alive.
pub fn start(
    config: Config,
    limits: &Limits,
    core: Arc<Core>,
    callers: Arc<Callers>,
    metrics: Arc<Metrics>,
    audit: Audit,
) -> (Arc<Front>, impl Future<Output = ()> + Send + 'static) {
    let gauge = metrics
        .mcp
        .as_ref()
        .map_or_else(Gauge::default, |mcp| mcp.sessions.clone());
    let grace = config.unread.unwrap_or(sessions::GRACE);
    let sessions = Sessions::new(MAX_SESSIONS, config.house.idle, grace, gauge);
    let sessions = Arc::new(sessions);
    let guests = Arc::new(Guests::new(Arc::clone(&callers)));
    let longest = (LINE * limits.max_body).min(BUDGET_BYTES / 2);
    let children = child::Limits {
        line: longest,
        budget: Arc::new(Budget::new(BUDGET_BYTES)),
    };
    let isolation = config.house.isolation;
    let pinned = Pinned::new(config.pin);
    let house = Arc::new(House::new(
        config.house,
        Arc::clone(&core),
        children,
        pinned,
        limits.patience.answer,
    ));
    let listeners = Arc::new(Listeners::default());
    let stateless = Arc::new(Stateless::new(
        Arc::clone(&house),
        Arc::clone(&sessions),
        Arc::clone(&listeners),
        Arc::clone(&guests),
    ));
    let loose = Loose {
        sessions: (isolation == Isolation::Shared).then(|| Arc::clone(&sessions)),
        listeners: Arc::clone(&listeners),
    };
    let idle = house.config.idle;
    let http = (config.http).map(|(port, path)| Arc::new(Http::new(port, path, longest, idle)));
    let front = Front {
        queue: Queue::new(limits.queue, metrics.waiting.clone()),
        core,
        callers,
        guests: Arc::clone(&guests),
        metrics,
        audit,
        house: Arc::clone(&house),
        sessions: Arc::clone(&sessions),
        http: http.clone(),
        stateless: Arc::clone(&stateless),
        parked: Arc::default(),
        listeners,
        shown: Shown {
            policy: config.policy,
            house: Arc::clone(&house),
        },
        hosts: config.hosts,
        bodies: Bodies::new(limits.max_body, limits.patience.body),
        answer_limit: limits.patience.answer,
        budgets: Budgets::new(limits.budgets),
    };
    let keeps = async move {
        if let Some(http) = http {
            let server = http_keeper::keep(house, Arc::clone(&http));
            tokio::join!(server, http.keep(&guests), guests.keep());
            return;
        }
        tokio::join!(
            keeper::keep(house, loose),
            sessions.keep(&guests),
            stateless.keep(),
            guests.keep()
        );
    };
    (Arc::new(front), keeps)
}
