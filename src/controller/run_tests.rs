use super::*;

fn object(name: &str) -> ObjectRef<ModelArtifact> {
    ObjectRef::new(name).within("team-a")
}

/// Whatever comes and however often, who was woken first waits no longer for it, and nobody is lost.
#[tokio::test]
async fn changes_that_never_end_hold_no_pass_back() {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let sending = tokio::spawn(async move {
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < TOGETHER * 10 {
            for name in ["a", "b"] {
                sender.send(object(name)).await.unwrap();
                sent += 1;
            }
            tokio::time::sleep(TOGETHER / 10).await;
        }
        sent
    });
    let begun = Instant::now();
    let woken = together(&mut queue).await.unwrap();
    assert!(begun.elapsed() < TOGETHER * 8, "{:?}", begun.elapsed());
    assert!(!sending.is_finished());
    for name in ["a", "b"] {
        assert!(woken.contains(&object(name)), "{woken:?}");
    }
    let mut got = woken.len();
    while let Some(woken) = together(&mut queue).await {
        got += woken.len();
    }
    assert_eq!(got, sending.await.unwrap());
}

/// A crowd is passed on before it fills the memory, and at once.
#[tokio::test]
async fn a_crowd_does_not_wait_for_more() {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let sending = tokio::spawn(async move {
        for _ in 1..2 * QUEUE {
            sender.send(object("a")).await.unwrap();
        }
        sender.send(object("b")).await.unwrap();
        sender
    });
    let begun = Instant::now();
    let woken = together(&mut queue).await.unwrap();
    assert!(begun.elapsed() < TOGETHER, "{:?}", begun.elapsed());
    assert_eq!(woken.len(), QUEUE);
    // The queue has slots for the rest.
    drop(sending.await.unwrap());
    let mut rest = Vec::new();
    while let Some(woken) = together(&mut queue).await {
        rest.extend(woken);
    }
    assert_eq!(rest.len(), QUEUE);
    assert_eq!(rest.last(), Some(&object("b")));
}
