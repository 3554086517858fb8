//! Which tests a run is for; pure.

use anyhow::{Result, ensure};

/// Parts of names by comma, each of which has to choose a test: one that is misspelt would run nothing and pass. Without
/// any the one part is empty, which is in every name.
///
/// # Errors
/// When a part is in none of the names, or there are only commas.
pub(super) fn parts<'a>(filter: &'a str, names: &[&str]) -> Result<Vec<&'a str>> {
    let filter = filter.trim();
    if filter.is_empty() {
        return Ok(vec![""]);
    }
    let parts: Vec<&str> = filter
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    ensure!(!parts.is_empty(), "{filter:?} names no test");
    for part in &parts {
        let known = names.iter().any(|name| name.contains(part));
        ensure!(known, "no test's name contains {part:?}");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_chooses_a_test() {
        let names = ["hole/stays_shut", "idle/asks_nothing"];
        let of = |filter| parts(filter, &names).ok();
        assert_eq!(of(""), Some(vec![""]));
        assert_eq!(of(" "), Some(vec![""]));
        assert_eq!(of("hole"), Some(vec!["hole"]));
        assert_eq!(of("hole,"), Some(vec!["hole"]), "and not all of them");
        assert_eq!(of("hole , idle/"), Some(vec!["hole", "idle/"]));
        assert_eq!(of("hole,idel"), None, "misspelt");
        assert_eq!(of(","), None);
    }
}
