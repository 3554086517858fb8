//! Answers on some ports, over TCP and UDP.

use std::net::Ipv6Addr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};

/// Flags of `tool listen`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ports to answer on, over both transports
    #[arg(required = true)]
    ports: Vec<u16>,
}

impl Args {
    /// Answers `ok` until it is told to stop.
    ///
    /// # Errors
    /// A port that is taken.
    pub async fn run(self) -> anyhow::Result<()> {
        for port in self.ports {
            let tcp = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await?;
            let udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await?;
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = tcp.accept().await {
                    let _ = stream.write_all(b"ok\n").await;
                }
            });
            tokio::spawn(async move {
                let mut text = [0; 512];
                while let Ok((_, from)) = udp.recv_from(&mut text).await {
                    let _ = udp.send_to(b"ok\n", from).await;
                }
            });
        }
        super::told_to_stop().await
    }
}
