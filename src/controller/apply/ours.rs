//! Whose a child is that is there already; pure.

use kube::ResourceExt;

use super::{ApplyError, Child};
use crate::controller::names::{MANAGED_BY, MANAGER};

/// Asked before each write. `owner` is the UID that must own it, none for what belongs to the namespace.
///
/// # Errors
/// It is somebody else's.
pub(super) fn must_be_ours<K: Child>(
    there: &K,
    wanted: &K,
    owner: Option<&str>,
) -> Result<(), ApplyError> {
    let ours = match owner {
        Some(uid) => belongs(there, uid),
        None => there.labels().get(MANAGED_BY).map(String::as_str) == Some(MANAGER),
    };
    if ours {
        return Ok(());
    }
    let (kind, name) = (K::kind(&()).into_owned(), there.name_any());
    Err(if outlives(there, wanted) {
        ApplyError::Leaving { kind, name }
    } else {
        ApplyError::NameConflict { kind, name }
    })
}

/// Whether the object of this UID owns it.
pub(super) fn belongs<K: Child>(there: &K, owner: &str) -> bool {
    let mut owners = there.owner_references().iter();
    owners.any(|one| one.uid == owner)
}

/// Whether it was a child of an object of the same kind and name as the owner of the wanted one. There is but one of a
/// name, so that one is gone, and the garbage collector takes what it had.
fn outlives<K: Child>(there: &K, wanted: &K) -> bool {
    let controller = |of: &K| {
        let mut owners = of.owner_references().iter();
        let controller = owners.find(|one| one.controller == Some(true));
        controller.map(|one| (one.api_version.clone(), one.kind.clone(), one.name.clone()))
    };
    let owner = controller(wanted);
    owner.is_some() && owner == controller(there)
}
