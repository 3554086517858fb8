use std::fs;

use super::super::mounted::tests::lay;
use super::files::{MAX_ENTRIES, MAX_KEY};
use super::*;

fn check(keys: &Keys, sent: &str) -> Result<String, Wrong> {
    let now = "2026-06-30T23:00:00Z".parse().unwrap();
    keys.check(sent.as_bytes(), now).map(|key| key.0)
}

#[test]
fn keys_come_and_go_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::new(dir.path().join("keys"));
    assert!(keys.is_empty());

    // As the kubelet lays it down.
    let data = dir.path().join("keys/..data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("tools"), "one\n").unwrap();
    fs::write(data.join("blank"), "\n").unwrap();
    std::os::unix::fs::symlink("..data/tools", dir.path().join("keys/tools")).unwrap();
    std::os::unix::fs::symlink("..data/blank", dir.path().join("keys/blank")).unwrap();
    keys.reload();
    assert_eq!(check(&keys, "one"), Ok("tools".to_owned()));
    for wrong in ["two", "", "one two"] {
        assert_eq!(check(&keys, wrong), Err(Wrong::Unknown), "{wrong}");
    }

    fs::remove_file(dir.path().join("keys/tools")).unwrap();
    keys.reload();
    assert_eq!(check(&keys, "one"), Err(Wrong::Unknown));
}

#[rstest::rstest]
#[case::for_ever("a", Ok("a"))]
#[case::not_yet("b", Ok("b"))]
#[case::over("c", Err(Wrong::Expired))]
#[case::on_the_second("d", Err(Wrong::Expired))]
#[case::no_time("e", Err(Wrong::Unknown))]
#[case::empty("h", Err(Wrong::Unknown))]
#[case::blank("i", Err(Wrong::Unknown))]
#[case::too_long("j", Err(Wrong::Unknown))]
#[case::no_file("k", Err(Wrong::Unknown))]
#[case::the_end_is_no_key("2026-01-01T00:00:00Z", Err(Wrong::Unknown))]
#[case::one_of_two_that_are_equal("twice", Ok("g"))]
fn keys_end(#[case] key: &str, #[case] expected: Result<&str, Wrong>) {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("2027-01-01T00:00:00Z{}", " ".repeat(MAX_KEY));
    let files = [
        ("a", "a"),
        ("b", "b"),
        ("b.expires", "2026-07-01T00:00:01+01:00"),
        ("c", "c"),
        ("c.expires", "2026-01-01T00:00:00Z\n"),
        ("d", "d"),
        ("d.expires", "2026-06-30T23:00:00Z"),
        ("e", "e"),
        ("e.expires", "next summer"),
        ("f", "twice"),
        ("f.expires", "2026-01-01T00:00:00Z"),
        ("g", "twice"),
        ("h", "h"),
        ("h.expires", ""),
        ("i", "i"),
        ("i.expires", " \n"),
        ("j", "j"),
        ("j.expires", long.as_str()),
        ("k", "k"),
    ];
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", dir.path().join("k.expires")).unwrap();
    let keys = Keys::new(dir.path().to_owned());
    assert_eq!(check(&keys, key), expected.map(str::to_owned));
}

#[test]
fn of_too_many_entries_none_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    for number in 1..MAX_ENTRIES {
        fs::write(dir.path().join(format!("x{number}.expires")), "").unwrap();
    }
    let keys = Keys::new(dir.path().to_owned());
    assert!(check(&keys, "a").is_ok());
    fs::write(dir.path().join("a.expires"), "2000-01-01T00:00:00Z").unwrap();
    keys.reload();
    assert!(keys.is_empty());
}

#[test]
fn beyond_the_most_keys_the_first_ones_hold_and_the_others_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..MAX_KEYS + 3 {
        fs::write(
            dir.path().join(format!("k{number:03}")),
            format!("v{number}"),
        )
        .unwrap();
    }
    fs::write(dir.path().join("k000.expires"), "2000-01-01T00:00:00Z").unwrap();
    let keys = Keys::new(dir.path().to_owned());
    assert_eq!(check(&keys, "v0"), Err(Wrong::Expired));
    assert_eq!(check(&keys, "v255"), Ok("k255".to_owned()));
    assert_eq!(check(&keys, "v256"), Err(Wrong::Unknown));
    assert_eq!(keys.surplus.load(Ordering::Relaxed), 3);
    fs::remove_file(dir.path().join("k000")).unwrap();
    fs::remove_file(dir.path().join("k000.expires")).unwrap();
    keys.reload();
    assert_eq!(check(&keys, "v256"), Ok("k256".to_owned()));
    assert_eq!(keys.surplus.load(Ordering::Relaxed), 2);
}

/// The kubelet swaps the link and takes the old directory away, whoever reads it.
#[test]
fn keys_that_stay_are_accepted_while_the_kubelet_swaps_their_directory() {
    let dir = tempfile::tempdir().unwrap();
    let version = |number: usize| format!("..{number}");
    let lay = |number: usize| {
        let data = dir.path().join(version(number));
        fs::create_dir(&data).unwrap();
        for name in ["a", "b", "c", "d"] {
            fs::write(data.join(name), name).unwrap();
        }
        let next = dir.path().join("..data_tmp");
        std::os::unix::fs::symlink(version(number), &next).unwrap();
        fs::rename(next, dir.path().join("..data")).unwrap();
    };
    lay(0);
    let keys = Keys::new(dir.path().to_owned());
    std::thread::scope(|threads| {
        let kubelet = threads.spawn(|| {
            for number in 1..400 {
                lay(number);
                fs::remove_dir_all(dir.path().join(version(number - 1))).unwrap();
            }
        });
        while !kubelet.is_finished() {
            keys.reload();
            for key in ["a", "b", "c", "d"] {
                assert_eq!(check(&keys, key), Ok(key.to_owned()));
            }
        }
    });
}

#[test]
fn nothing_is_read_while_the_kubelets_link_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    lay(dir.path(), "..1", "tools", "one");
    let keys = Keys::new(dir.path().to_owned());
    assert!(check(&keys, "one").is_ok());
    lay(dir.path(), "..2", "tools", "two");
    keys.reload();
    assert!(check(&keys, "one").is_err());
    assert!(check(&keys, "two").is_ok());
    // Never so in a Secret's volume: it shows that nothing was read.
    fs::write(dir.path().join("..2/tools"), "three").unwrap();
    keys.reload();
    assert!(check(&keys, "two").is_ok());
}
