//! The operator's signed challenges.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sealroom::seal::check::new_nonce;
use sealroom::seal::sign::CHALLENGE;
use sealroom::seal::wire::{
    Challenge, Closure, Control, Opening, Proto, Report, State, Target, TargetKind,
};
use tokio::time::sleep;

use super::{Answer, Gate, PATIENCE, POD, get, post};

pub fn target(name: &str, addr: SocketAddr, required: bool) -> Target {
    Target {
        name: name.to_owned(),
        required,
        kind: TargetKind::Canary,
        addr,
        proto: Proto::Tcp,
        control: if required {
            Control::Ok { rtt_micros: 100 }
        } else {
            Control::None
        },
    }
}

impl Gate {
    /// A challenge as the operator makes it when all is well.
    pub fn challenge(&mut self) -> Challenge {
        self.seq += 1;
        Challenge {
            v: 1,
            pod_uid: POD.to_owned(),
            nonce: new_nonce(),
            session: Some(self.session),
            seq: self.seq,
            validity_ms: 90_000,
            closure: Closure::Equal,
            open: None,
            targets: vec![target("canary/own-node/tcp4", self.shut, true)],
        }
    }

    pub async fn send(&self, challenge: &Challenge) -> Answer {
        self.post(&self.signed(challenge)).await
    }

    /// What the operator puts on the wire, to be recorded.
    pub fn signed(&self, challenge: &Challenge) -> String {
        let envelope = self.key.sign(CHALLENGE, challenge).unwrap();
        serde_json::to_string(&envelope).unwrap()
    }

    pub async fn post(&self, signed: &str) -> Answer {
        post(self.admin, "/challenge", signed, "").await
    }

    pub async fn round(&mut self) -> Report {
        let challenge = self.challenge();
        self.report_of(&challenge).await
    }

    pub async fn report_of(&self, challenge: &Challenge) -> Report {
        let answer = self.send(challenge).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Good rounds until the state is Proven.
    pub async fn prove(&mut self) {
        self.prove_for(90_000).await;
    }

    pub async fn prove_for(&mut self, validity_ms: u64) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let mut challenge = self.challenge();
            challenge.validity_ms = validity_ms;
            if self.report_of(&challenge).await.state == State::Proven {
                return;
            }
            sleep(Duration::from_millis(650)).await;
        }
        panic!("not proven: {:?}", self.sealz().await);
    }

    /// The operator knows that it is open.
    pub async fn order_open(&mut self, reason: &str) -> Report {
        let mut challenge = self.challenge();
        let detail = "a canary saw the nonce".to_owned();
        challenge.open = Some(Opening {
            reason: reason.to_owned(),
            detail,
        });
        self.report_of(&challenge).await
    }

    pub async fn sealz(&self) -> Report {
        serde_json::from_str(&get(self.admin, "/sealz").await.body).unwrap()
    }
}
