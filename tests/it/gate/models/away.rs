//! A model behind a Service: whether somebody takes connections there, only the gate can tell.

use std::time::Instant;

use sealroom::seal::wire::{Lack, Need};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::{Duration, sleep, timeout};

use super::pod::Pod;
use crate::gate::bed::PATIENCE;

const WATCHED: &str = ",watch=connect";

/// Waits until the gate says that it lacks this.
async fn until(pod: &mut Pod, lack: &[Lack]) {
    let begun = Instant::now();
    while pod.gate.sealz().await.models_lack != lack {
        assert!(begun.elapsed() < PATIENCE, "{lack:?} was not said");
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(pod.gate.round().await.models_lack, lack);
}

#[tokio::test]
async fn nobody_at_its_address_is_told_until_somebody_is() {
    // Bound, so that no other test takes the port, and refusing.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let model = socket.local_addr().unwrap();
    let mut pod = Pod::start(model, "http", WATCHED).await;
    pod.key("secret").await;
    pod.gate.prove().await;
    let lack = Lack {
        port: pod.offered.port(),
        what: Need::Listener,
    };
    until(&mut pod, &[lack]).await;
    assert_eq!(pod.ask().await.status, 502);

    let _listens = socket.listen(8).unwrap();
    until(&mut pod, &[]).await;
}

/// What leads out of a pod is shut until it is proven, an empty connection too.
#[tokio::test]
async fn nothing_is_dialled_before_the_proof() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let model = listener.local_addr().unwrap();
    let mut pod = Pod::start(model, "http", WATCHED).await;
    let early = timeout(Duration::from_secs(7), listener.accept()).await;
    assert!(early.is_err(), "{early:?}");
    pod.gate.prove().await;
    timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
}
