use super::*;

fn weights(content: &[u8]) -> Weights {
    Weights {
        digest: Digest::from_bytes(&Sha256::digest(content).into()),
        size: content.len() as u64,
        license: None,
    }
}

fn content() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn open_in(dir: &Path) -> Partial {
    Partial::open(dir, &weights(&content()), Arc::default()).unwrap()
}

/// Writes and goes away without saving a state, as SIGKILL does.
fn killed_after(dir: &Path, saved: usize, unsaved: usize) {
    let content = content();
    let mut partial = open_in(dir);
    partial.write(&content[..saved]).unwrap();
    partial.checkpoint().unwrap();
    partial.write(&content[saved..saved + unsaved]).unwrap();
}

fn state_of(dir: &Path) -> PathBuf {
    let mut entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .find(|path| path.extension().is_some_and(|e| e == "state"))
        .unwrap()
}

fn finish(mut partial: Partial) -> bool {
    let at = usize::try_from(partial.written()).unwrap();
    partial.write(&content()[at..]).unwrap();
    partial.is_right().unwrap()
}

#[rstest::rstest]
#[case::within_a_block(1, 0)]
#[case::between_blocks(128, 0)]
#[case::tail(100_000, 70_001)]
#[case::no_checkpoint(0, 12_345)]
fn goes_on_after_a_kill(#[case] saved: usize, #[case] unsaved: usize) {
    let dir = tempfile::tempdir().unwrap();
    killed_after(dir.path(), saved, unsaved);
    let partial = open_in(dir.path());
    assert_eq!(partial.written(), (saved + unsaved) as u64);
    assert!(partial.resumed());
    assert!(finish(partial));
}

#[test]
fn trusts_only_synced_bytes_after_a_reboot() {
    let dir = tempfile::tempdir().unwrap();
    killed_after(dir.path(), 1_000, 500);
    let path = state_of(dir.path());
    let mut state: State = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    state.boot = "another".to_owned();
    fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
    let partial = open_in(dir.path());
    assert_eq!(partial.written(), 1_000);
    assert!(finish(partial));
}

#[rstest::rstest]
#[case::noise(b"{")]
#[case::empty(b"")]
fn starts_over_without_a_usable_state(#[case] state: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    killed_after(dir.path(), 1_000, 500);
    fs::write(state_of(dir.path()), state).unwrap();
    let partial = open_in(dir.path());
    assert_eq!((partial.written(), partial.resumed()), (0, false));
    assert!(finish(partial));
}

#[test]
fn a_flipped_bit_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let mut partial = open_in(dir.path());
    let mut content = content();
    content[7] ^= 1;
    partial.write(&content).unwrap();
    assert!(!partial.is_right().unwrap());
}

#[test]
fn never_holds_more_than_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut partial = open_in(dir.path());
    partial.write(&content()).unwrap();
    assert!(partial.write(b"x").is_err());
}

#[test]
fn says_before_the_first_byte_that_it_cannot_fit() {
    let dir = tempfile::tempdir().unwrap();
    let weights = Weights {
        size: 1 << 60,
        ..weights(b"x")
    };
    let error = Partial::open(dir.path(), &weights, Arc::default())
        .err()
        .unwrap();
    assert!(
        matches!(error, PullError::VolumeTooSmall { needed, .. } if needed == 1 << 60),
        "{error}"
    );
}

#[test]
fn a_volume_that_fills_up_is_named_and_keeps_what_fits() {
    let dir = tempfile::tempdir().unwrap();
    let mut partial = open_in(dir.path());
    partial.write(&content()[..5_000]).unwrap();
    partial.checkpoint().unwrap();
    // Every write to it fails with ENOSPC.
    partial.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(Bytes::from_static(b"more")).unwrap();
    drop(sender);
    let error = partial.drain(receiver).unwrap_err();
    assert!(matches!(error, PullError::VolumeFull), "{error}");
    assert_eq!(open_in(dir.path()).written(), 5_000);
}
