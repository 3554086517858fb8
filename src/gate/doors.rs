//! The client connections, and how all of them are cut at once.

use std::io;
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What a connection watches.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// It is reset at once.
    pub cut: CancellationToken,
    /// It is to carry no more requests: HTTP/2 is told so, and every answer over HTTP/1 ends its connection.
    pub leave: CancellationToken,
    /// HTTP/1 that carries no request ends now, and any other with its answer.
    pub close: CancellationToken,
    /// The doors' own count of those that carry something.
    count: Weak<()>,
}

impl Door {
    /// Held from a connection's first request to its end: as long, an answer may still be on its way.
    #[must_use]
    pub fn carries(&self) -> Option<Arc<()>> {
        self.count.upgrade()
    }
}

/// Every open connection holds a door from here.
#[derive(Debug, Default)]
pub struct Doors {
    next: Mutex<Door>,
    /// Held by every connection that carries something.
    count: Arc<()>,
}

impl Doors {
    /// A door for a new connection. It must be taken before the connection's first request is looked at:
    /// then either the request is refused or the connection is cut.
    #[must_use]
    pub fn enter(&self) -> Door {
        let doors = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        Door {
            cut: doors.cut.child_token(),
            leave: doors.leave.child_token(),
            close: doors.close.child_token(),
            count: Arc::downgrade(&self.count),
        }
    }

    /// Connections that have had a request and are still open.
    #[must_use]
    pub fn carrying(&self) -> usize {
        Arc::strong_count(&self.count) - 1
    }

    /// Cuts every connection that is open now.
    pub fn cut(&self) {
        let mut doors = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut doors.cut).cancel();
    }

    /// Asks every connection to end by itself, those that are still to come too.
    pub fn leave(&self) {
        let doors = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        doors.leave.cancel();
    }

    /// Ends connections of HTTP/1 that carry no request, those that are still to come with their first answer.
    pub fn close(&self) {
        let doors = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        doors.close.cancel();
    }

    /// Connections that come from here on may stay.
    pub fn stay(&self) {
        let mut doors = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        (doors.leave, doors.close) = <(CancellationToken, CancellationToken)>::default();
    }
}

/// A client's connection, given up when the client takes nothing for too long.
#[derive(Debug)]
pub struct ClientIo {
    stream: Arc<TcpStream>,
    given_up: CancellationToken,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientIo {
    /// `patience` is how long a client may take no byte while some wait for it; then it is `given_up`. The stream
    /// outlives it, so that its end is not the connection's.
    #[must_use]
    pub fn new(stream: Arc<TcpStream>, given_up: CancellationToken, patience: Duration) -> Self {
        Self {
            stream,
            given_up,
            patience,
            stalled: None,
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let progress = loop {
            match self.stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                other => break other.map_ok(|()| 0),
            }
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => break Poll::Ready(written),
            }
        };
        self.watched(cx, progress)
    }

    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stalled = None;
            return progress;
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        self.given_up.cancel();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write(from))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream| stream.try_write_vectored(from))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(hang_up(&self.stream))
    }
}

/// How long a client may take to close after us, and we after it.
const LINGER: Duration = Duration::from_secs(1);
/// How many bytes of what it still sends are read meanwhile.
const WASTE: usize = 1024 * 1024;

fn hang_up(stream: &TcpStream) -> io::Result<()> {
    Ok(shutdown(stream.as_raw_fd(), Shutdown::Write)?)
}

/// Ends a connection so that the client gets all that was written to it (RFC 9112, section 9.6): says that nothing more
/// comes, and throws away what still arrives until the client closes too. Bytes that reach a closed socket are
/// answered with a reset, and a client that hears of one may lose what it has not read yet: an answer, or the GOAWAY
/// which says that its request can be sent again.
pub async fn linger(stream: &TcpStream) {
    if hang_up(stream).is_err() {
        return;
    }
    let read = async {
        let (mut waste, mut left) = ([0; 1024], WASTE);
        while left > 0 && stream.readable().await.is_ok() {
            match stream.try_read(&mut waste) {
                Ok(0) => return,
                Ok(n) => left = left.saturating_sub(n),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    let _ = timeout(LINGER, read).await;
}

/// Ends a while after the client has closed its end or is gone, and all that it sent was read: a connection that has not
/// ended by itself then never will. hyper looks for that too, but not while it holds a byte of a further request: the
/// answer would go on for nobody, and the engine with it.
pub async fn gone(stream: &TcpStream) {
    // What is still there waits for hyper.
    while let Ok(1..) = stream.peek(&mut [0]).await {
        sleep(LINGER).await;
    }
    sleep(LINGER).await;
}

/// Lets a connection end with a reset, so that an answer that was cut does not look like a complete one, and nothing that
/// waits in the send buffer still leaves.
pub fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
