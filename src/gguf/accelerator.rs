//! An accelerator that computes nothing, for tests: the other side of ggml's RPC backend as far as
//! `llama-fit-params` asks. So the tool counts what lies in VRAM on a machine that has none.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Commands of the protocol (ggml, `ggml-rpc.cpp`).
const ALLOCATE: u8 = 0;
const ALIGNMENT: u8 = 1;
const LARGEST: u8 = 2;
const BASE: u8 = 3;
const FREE: u8 = 4;
const MEMORY: u8 = 11;
const ALLOCATED_SIZE: u8 = 13;
const HELLO: u8 = 14;
const DEVICES: u8 = 15;

/// Listens on loopback until the process ends.
pub(super) struct Accelerator {
    address: SocketAddr,
    protocol: Arc<AtomicU8>,
}

impl Accelerator {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let protocol = Arc::new(AtomicU8::new(0));
        let version = protocol.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let version = version.clone();
                // A client that goes ends its thread.
                std::thread::spawn(move || serve(stream, &version));
            }
        });
        Self { address, protocol }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on it says that it has this major version.
    pub(super) fn speaks(&self, protocol: u8) {
        self.protocol.store(protocol, Ordering::SeqCst);
    }

    /// The versions to try, the last that worked first.
    pub(super) fn protocols(&self) -> impl Iterator<Item = u8> + use<> {
        const KNOWN: RangeInclusive<u8> = 3..=12;
        let last = self.protocol.load(Ordering::SeqCst);
        std::iter::once(last)
            .filter(|last| KNOWN.contains(last))
            .chain(KNOWN.filter(move |one| *one != last))
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
}

fn serve(mut stream: TcpStream, version: &AtomicU8) -> io::Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::try_from(number(&head, 1)).unwrap()];
        stream.read_exact(&mut body)?;
        let numbers =
            |all: &[u64]| -> Vec<u8> { all.iter().flat_map(|n| n.to_le_bytes()).collect() };
        let answer = match head[0] {
            HELLO => {
                let mut answer = vec![version.load(Ordering::SeqCst), 0, 0, 0];
                // No capability of those that were offered.
                answer.resize(4 + body.len(), 0);
                answer
            }
            DEVICES => vec![1, 0, 0, 0],
            ALIGNMENT => numbers(&[256]),
            LARGEST => numbers(&[1 << 62]),
            MEMORY => numbers(&[1 << 40, 1 << 40]),
            ALLOCATE => numbers(&[0x1000, number(&body, 4).max(1)]),
            BASE => numbers(&[0x1_0000]),
            FREE => vec![],
            // A tensor that lies in one piece: its last dimension and that dimension's stride.
            ALLOCATED_SIZE => numbers(&[word(&body, 36) * word(&body, 52)]),
            // What changes bytes has no answer.
            _ => continue,
        };
        stream.write_all(&(answer.len() as u64).to_le_bytes())?;
        stream.write_all(&answer)?;
    }
}
