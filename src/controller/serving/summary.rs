//! Ready, Reconciling and Stalled of what serves, by what stands in its way; pure.

use crate::api::Reason;
use crate::api::model_deployment::SealMode;
use crate::controller::conditions::Truth;
use crate::controller::outcome::Outcome;
use crate::controller::seal_view::SealView;

/// A condition's value, reason and message.
pub type Cell = (Truth, Reason, String);

/// Ready, Reconciling and Stalled, in this order.
pub type Summary = [Cell; 3];

/// All is as it was asked for.
#[must_use]
pub fn ready() -> Summary {
    [
        (Truth::True, Reason::Succeeded, String::new()),
        fine(),
        fine(),
    ]
}

/// It goes on by itself.
#[must_use]
pub fn working(reason: Reason, text: &str) -> Summary {
    let cell = |truth| (truth, reason, text.to_owned());
    [cell(Truth::False), cell(Truth::True), fine()]
}

/// Somebody has to act.
#[must_use]
pub fn held(reason: Reason, text: &str) -> Summary {
    let cell = |truth| (truth, reason, text.to_owned());
    let idle = (Truth::False, reason, String::new());
    [cell(Truth::False), idle, cell(Truth::True)]
}

/// What an outcome says after which something is to be done.
#[must_use]
pub fn unfinished(outcome: &Outcome) -> Option<Summary> {
    match outcome {
        Outcome::Stalled(stall) => Some(held(stall.reason, &stall.message)),
        Outcome::Transient { message } => Some(working(Reason::RetryingAfterError, message)),
        Outcome::Waiting {
            reason, message, ..
        } => Some(working(*reason, message)),
        Outcome::Done | Outcome::DoneFor(_) => None,
    }
}

/// The condition Sealed.
#[must_use]
pub fn sealed(mode: SealMode, seal: &SealView) -> Cell {
    if mode == SealMode::Unsealed {
        let text = "the object asks for no seal: nothing is proven about its pods";
        return (Truth::False, Reason::SealDisabled, text.to_owned());
    }
    (seal.truth, seal.reason, seal.message.clone())
}

fn fine() -> Cell {
    (Truth::False, Reason::Succeeded, String::new())
}
