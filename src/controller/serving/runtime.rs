//! What an object says when what it serves dies, hangs or lies; pure.
//!
//! The gate remembers a fault until its runtime has served for five minutes, so that one that dies as soon as it serves
//! does not make the object Ready each time. All of it is mended by another start, which needs nobody, so nothing of it
//! is Stalled; what somebody can do all the same stands in the text.

use super::summary::{Summary, working};
use crate::api::Reason;
use crate::controller::seal_view::SealView;
use crate::seal::wire::RuntimeFault;

const OUT_OF_MEMORY: &str = "the runtime was killed as the kernel does for want of memory: write more memory in resources.limits, or give it less to do; it is started again by itself, and this stays until it has served for five minutes";
const FAILING: &str = "the runtime ends by itself again and again: look at the log of the container runtime; it is started again by itself, and this stays until it has served for five minutes";
const HANGS: &str = "the runtime gives no sign of life, or finds no end in starting: one that hangs is killed and started again; this stays until it has served for five minutes";
const ANSWERS: &str = "the runtime says that it is healthy, and answers the smallest request with an error, with half an answer or not at all: look at the log of the container runtime, and whether engine, model and settings fit together; its pod takes no requests until it answers, and one that did is started again after a minute; this stays until it has served for five minutes";
const SERVER_FAILING: &str = "the server ends by itself again and again, or does not start: look at the log of the container server, and whether command, environment and isolation are right; it is started again by itself, and this stays until it has served for five minutes";
const SERVER_ENDED: &str = "the server ended by itself, or did not start: look at the log of the container server; it is started again by itself after a pause";
const SERVER_HANGS: &str = "the server does not answer the gate, which asks whether it lives and which tools it has: it may be busy; one that is silent for a minute is ended and started again";

/// What is wrong although it goes on by itself: an Event warns of it.
pub const REASONS: [Reason; 6] = [
    Reason::RuntimeOutOfMemory,
    Reason::RuntimeFailing,
    Reason::RuntimeHangs,
    Reason::RuntimeAnswersWrong,
    Reason::ServerFailing,
    Reason::ServerHangs,
];

/// Ready, Reconciling and Stalled while something is wrong with a runtime. One end by itself is no more than the
/// restart that follows.
#[must_use]
pub fn fault(seal: &SealView) -> Option<Summary> {
    Some(match seal.runtime_fault? {
        RuntimeFault::OutOfMemory => working(Reason::RuntimeOutOfMemory, OUT_OF_MEMORY),
        RuntimeFault::Failing => working(Reason::RuntimeFailing, FAILING),
        RuntimeFault::Hangs => working(Reason::RuntimeHangs, HANGS),
        RuntimeFault::Answers => working(Reason::RuntimeAnswersWrong, ANSWERS),
        RuntimeFault::Ended => return None,
    })
}

/// The same of an MCP server. One end by itself is told while a pod is `away` for it.
#[must_use]
pub fn fault_of_server(seal: &SealView, away: bool) -> Option<Summary> {
    Some(match seal.runtime_fault? {
        RuntimeFault::OutOfMemory => working(Reason::RuntimeOutOfMemory, OUT_OF_MEMORY),
        RuntimeFault::Failing => working(Reason::ServerFailing, SERVER_FAILING),
        RuntimeFault::Hangs => working(Reason::ServerHangs, SERVER_HANGS),
        RuntimeFault::Ended if away => working(Reason::ServerFailing, SERVER_ENDED),
        // No gate asks a server for completions.
        RuntimeFault::Ended | RuntimeFault::Answers => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::conditions::Truth;

    fn seal(runtime_fault: Option<RuntimeFault>) -> SealView {
        SealView {
            runtime_fault,
            ..SealView::default()
        }
    }

    /// Reason, and whether it goes on by itself.
    fn told(summary: Option<Summary>) -> Option<(String, bool)> {
        let [ready, reconciling, stalled] = summary?;
        let goes_on = reconciling.0 == Truth::True && stalled.0 == Truth::False;
        assert_eq!(ready.0, Truth::False);
        assert!(!ready.2.is_empty() && ready.2.chars().count() <= 1_024);
        Some((ready.1.to_string(), goes_on))
    }

    #[rstest::rstest]
    #[case::fine(None, None)]
    #[case::once(Some(RuntimeFault::Ended), None)]
    #[case::lies(Some(RuntimeFault::Answers), Some("RuntimeAnswersWrong"))]
    #[case::failing(Some(RuntimeFault::Failing), Some("RuntimeFailing"))]
    #[case::hangs(Some(RuntimeFault::Hangs), Some("RuntimeHangs"))]
    #[case::memory(Some(RuntimeFault::OutOfMemory), Some("RuntimeOutOfMemory"))]
    fn reasons_are_ours(#[case] runtime_fault: Option<RuntimeFault>, #[case] reason: Option<&str>) {
        let expected = reason.map(|reason| (reason.to_owned(), true));
        assert_eq!(told(fault(&seal(runtime_fault))), expected);
    }

    #[rstest::rstest]
    #[case::fine(None, true, None)]
    #[case::once_and_back(Some(RuntimeFault::Ended), false, None)]
    #[case::once(Some(RuntimeFault::Ended), true, Some("ServerFailing"))]
    #[case::failing(Some(RuntimeFault::Failing), false, Some("ServerFailing"))]
    #[case::hangs(Some(RuntimeFault::Hangs), true, Some("ServerHangs"))]
    #[case::memory(Some(RuntimeFault::OutOfMemory), true, Some("RuntimeOutOfMemory"))]
    fn reasons_of_servers_are_ours(
        #[case] runtime_fault: Option<RuntimeFault>,
        #[case] away: bool,
        #[case] reason: Option<&str>,
    ) {
        let expected = reason.map(|reason| (reason.to_owned(), true));
        assert_eq!(told(fault_of_server(&seal(runtime_fault), away)), expected);
    }
}
