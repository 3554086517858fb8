//! Hears nonces over TCP and UDP and answers each.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::memory::Memory;
use crate::seal::check::is_nonce;
use crate::seal::wire::Proto;

/// Most that is read of what somebody says, in bytes.
const MAX_WORDS: usize = 128;
/// How long somebody may take to say it.
const MAX_TIME: Duration = Duration::from_secs(2);
/// Most TCP connections at once; more are closed as they come.
const MAX_CONNECTIONS: usize = 512;
/// Rest after an accept or a receive that failed, so that a lack of descriptors does not spin.
const REST: Duration = Duration::from_millis(20);

/// The nonce in `sealroom-nonce <nonce>\n`.
fn nonce(words: &[u8]) -> Option<&str> {
    let line = words.strip_prefix(b"sealroom-nonce ")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok().filter(|text| is_nonce(text))
}

/// Remembers what was said and gives the answer to it; nonsense gets none.
fn hear(memory: &Mutex<Memory>, words: &[u8], from: SocketAddr, proto: Proto) -> Option<String> {
    let nonce = nonce(words)?;
    // A panic elsewhere cannot leave the list half changed.
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    memory.remember(nonce, from.ip().to_canonical(), proto);
    Some(format!("seen {nonce}\n"))
}

/// Accepts for ever.
pub async fn tcp(listener: TcpListener, memory: Arc<Mutex<Memory>>) {
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        // Closed at once when there are too many: who got this far was connected all the same.
        if let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            let memory = Arc::clone(&memory);
            tokio::spawn(async move {
                let _ = timeout(MAX_TIME, converse(stream, from, &memory)).await;
                drop(permit);
            });
        }
    }
}

async fn converse(
    mut stream: TcpStream,
    from: SocketAddr,
    memory: &Mutex<Memory>,
) -> std::io::Result<()> {
    let mut words = Vec::with_capacity(MAX_WORDS);
    while words.len() < MAX_WORDS && !words.contains(&b'\n') {
        let room = u64::try_from(MAX_WORDS - words.len()).unwrap_or(0);
        if (&mut stream).take(room).read_buf(&mut words).await? == 0 {
            break;
        }
    }
    if let Some(answer) = hear(memory, &words, from, Proto::Tcp) {
        stream.write_all(answer.as_bytes()).await?;
    }
    stream.shutdown().await
}

/// Receives for ever. An answer is shorter than its question, so nobody is flooded through here.
pub async fn udp(socket: UdpSocket, memory: Arc<Mutex<Memory>>) {
    let mut words = [0; MAX_WORDS];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut words).await else {
            sleep(REST).await;
            continue;
        };
        if let Some(answer) = hear(&memory, &words[..length], from, Proto::Udp) {
            let _ = socket.try_send_to(answer.as_bytes(), from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "0123456789abcdef0123456789abcdef";

    #[rstest::rstest]
    #[case::whole(format!("sealroom-nonce {NONCE}\n"), Some(NONCE))]
    #[case::more_lines(format!("sealroom-nonce {NONCE}\nGET /"), Some(NONCE))]
    #[case::no_newline(format!("sealroom-nonce {NONCE}"), Some(NONCE))]
    #[case::carriage_return(format!("sealroom-nonce {NONCE}\r\n"), None)]
    #[case::short("sealroom-nonce 0123\n".to_owned(), None)]
    #[case::upper_case(format!("sealroom-nonce {}\n", NONCE.to_uppercase()), None)]
    #[case::other("GET / HTTP/1.1\r\n".to_owned(), None)]
    #[case::nothing(String::new(), None)]
    fn understands(#[case] words: String, #[case] expected: Option<&str>) {
        assert_eq!(nonce(words.as_bytes()), expected);
    }
}
