//! The client connections, and how all of them are cut at once.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
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

/// A client's connection: reset rather than closed once it was cut, so that a cut answer does not look like a
/// complete one and nothing that waits in the send buffer still leaves; given up when the client takes nothing
/// for too long.
#[derive(Debug)]
pub struct ClientIo {
    stream: TcpStream,
    cut: CancellationToken,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientIo {
    /// `patience` is how long a client may take no byte while some wait for it.
    #[must_use]
    pub fn new(stream: TcpStream, cut: CancellationToken, patience: Duration) -> Self {
        Self {
            stream,
            cut,
            patience,
            stalled: None,
        }
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
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write(cx, from);
        self.watched(cx, progress)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.stream).poll_write_vectored(cx, from);
        self.watched(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for ClientIo {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            let _ = self.stream.set_zero_linger();
        }
    }
}
