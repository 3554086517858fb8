//! What a pod and its containers may do, as far as less would be stricter; pure.
//!
//! What a container does not say, its pod says for it. Of SELinux the level is not compared, because platforms give each
//! namespace its own (OpenShift's security context constraints).

use k8s_openapi::api::core::v1::{
    AppArmorProfile, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext,
};

use super::{Facts, filled, json};

/// A container that is the node's root.
pub(super) const PRIVILEGED: &str = "privileged";
/// Capabilities that a container gets.
pub(super) const ADDED: &str = "added capabilities";

/// What all containers share.
pub(super) fn of_pod(facts: &mut Facts, context: Option<&PodSecurityContext>) {
    let Some(context) = context else {
        return;
    };
    if let Some(group) = context.fs_group {
        facts.show("fsGroup", group.to_string());
    }
    let mut groups = context.supplemental_groups.clone().unwrap_or_default();
    groups.sort_unstable();
    if !groups.is_empty() {
        facts.show("supplementalGroups", json(&groups));
    }
    facts.list("sysctls", context.sysctls.as_deref());
}

/// What one container may do.
pub(super) fn of_container(
    facts: &mut Facts,
    pod: Option<&PodSecurityContext>,
    own: Option<&SecurityContext>,
) {
    facts.on(PRIVILEGED, own.and_then(|own| own.privileged));
    // These are off unless they are written.
    if own.and_then(|own| own.allow_privilege_escalation) != Some(false) {
        facts.show("allowPrivilegeEscalation", "true");
    }
    if own.and_then(|own| own.read_only_root_filesystem) != Some(true) {
        facts.show("readOnlyRootFilesystem", "false");
    }
    capabilities(facts, own);
    let user = own.and_then(|own| own.run_as_user);
    if let Some(user) = user.or(pod.and_then(|pod| pod.run_as_user)) {
        facts.show("runAsUser", user.to_string());
    }
    let group = own.and_then(|own| own.run_as_group);
    if let Some(group) = group.or(pod.and_then(|pod| pod.run_as_group)) {
        facts.show("runAsGroup", group.to_string());
    }
    let non_root = own.and_then(|own| own.run_as_non_root);
    facts.on(
        "runAsNonRoot",
        non_root.or(pod.and_then(|pod| pod.run_as_non_root)),
    );
    let seccomp = own.and_then(|own| own.seccomp_profile.as_ref());
    if let Some(profile) = seccomp.or(pod.and_then(|pod| pod.seccomp_profile.as_ref())) {
        facts.show("seccompProfile", seccomp_profile(profile));
    }
    let app_armor = own.and_then(|own| own.app_armor_profile.as_ref());
    let app_armor = app_armor.or(pod.and_then(|pod| pod.app_armor_profile.as_ref()));
    // What a runtime takes where nothing is written.
    if let Some(profile) = app_armor.filter(|profile| profile.type_ != "RuntimeDefault") {
        facts.show("appArmorProfile", app_armor_profile(profile));
    }
    let se_linux = own.and_then(|own| own.se_linux_options.as_ref());
    let se_linux = se_linux.or(pod.and_then(|pod| pod.se_linux_options.as_ref()));
    if let Some(options) = se_linux.and_then(se_linux_options) {
        facts.show("seLinuxOptions", options);
    }
    let proc_mount = own.and_then(|own| filled(&own.proc_mount));
    if let Some(mount) = proc_mount.filter(|mount| *mount != "Default") {
        facts.show("procMount", mount);
    }
}

/// Beside `ALL` a further one that is dropped means nothing: policy engines add some.
fn capabilities(facts: &mut Facts, own: Option<&SecurityContext>) {
    let capabilities = own.and_then(|own| own.capabilities.as_ref());
    let sorted = |list: Option<&Vec<String>>| {
        let mut list = list.cloned().unwrap_or_default();
        list.sort();
        list.dedup();
        list
    };
    let added = sorted(capabilities.and_then(|all| all.add.as_ref()));
    if !added.is_empty() {
        facts.show(ADDED, added.join(", "));
    }
    let dropped = sorted(capabilities.and_then(|all| all.drop.as_ref()));
    if dropped.iter().any(|one| one == "ALL") {
        facts.show("dropped capabilities", "ALL");
    } else if !dropped.is_empty() {
        facts.show("dropped capabilities", dropped.join(", "));
    }
}

fn named(kind: &str, profile: &Option<String>) -> String {
    filled(profile).map_or_else(|| kind.to_owned(), |profile| format!("{kind} {profile}"))
}

fn seccomp_profile(profile: &SeccompProfile) -> String {
    named(&profile.type_, &profile.localhost_profile)
}

fn app_armor_profile(profile: &AppArmorProfile) -> String {
    named(&profile.type_, &profile.localhost_profile)
}

fn se_linux_options(options: &SELinuxOptions) -> Option<String> {
    let parts = [&options.user, &options.role, &options.type_];
    let parts: Vec<&str> = parts.into_iter().filter_map(filled).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}
