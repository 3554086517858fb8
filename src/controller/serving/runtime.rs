//! What an object says when its runtime dies or hangs; pure.

use super::summary::{Summary, held, working};
use crate::api::Reason;
use crate::controller::seal_view::SealView;
use crate::seal::wire::RuntimeFault;

/// Ready, Reconciling and Stalled while something is wrong with a runtime. One end by itself is no more than the
/// restart that follows.
///
/// The gate remembers a fault until its runtime has served for five minutes, so that a runtime that dies as soon as it
/// serves does not make the object Ready each time.
#[must_use]
pub fn fault(seal: &SealView) -> Option<Summary> {
    Some(match seal.runtime_fault? {
        RuntimeFault::OutOfMemory => held(
            Reason::RuntimeOutOfMemory,
            "the runtime was killed as the kernel does for want of memory: write more memory in resources.limits, or give it less to do; it is started again by itself, and this stays until it has served for five minutes",
        ),
        RuntimeFault::Failing => held(
            Reason::RuntimeFailing,
            "the runtime ends by itself again and again: look at the log of the container runtime; it is started again by itself, and this stays until it has served for five minutes",
        ),
        RuntimeFault::Hangs => working(
            Reason::RuntimeHangs,
            "the runtime gives no sign of life, or finds no end in starting: one that hangs is killed and started again; this stays until it has served for five minutes",
        ),
        RuntimeFault::Ended => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::fine(None, None)]
    #[case::once(Some(RuntimeFault::Ended), None)]
    #[case::failing(Some(RuntimeFault::Failing), Some("RuntimeFailing"))]
    #[case::hangs(Some(RuntimeFault::Hangs), Some("RuntimeHangs"))]
    #[case::memory(Some(RuntimeFault::OutOfMemory), Some("RuntimeOutOfMemory"))]
    fn reasons_are_ours(#[case] runtime_fault: Option<RuntimeFault>, #[case] reason: Option<&str>) {
        let seal = SealView {
            runtime_fault,
            ..SealView::default()
        };
        let ready = fault(&seal).map(|[ready, ..]| ready);
        assert_eq!(ready.as_ref().map(|cell| cell.1.as_str()), reason);
    }
}
