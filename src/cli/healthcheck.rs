//! `keyfob healthcheck`

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CommandError;

/// Time for the answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes read of the answer; its status line is shorter.
const MAX_RESPONSE: u64 = 1024;

#[derive(Args)]
pub struct Healthcheck {
    /// Address that the server listens on
    #[arg(long, env = "KEYFOB_ADDR", default_value = "127.0.0.1:8000")]
    addr: SocketAddr,
    /// Check that the server is ready: its database answers, accepts writes and is migrated
    #[arg(long)]
    ready: bool,
}

pub async fn run(Healthcheck { addr, ready }: Healthcheck) -> Result<(), CommandError> {
    let (path, condition) = if ready { ("/readyz", "ready") } else { ("/healthz", "alive") };
    let addr = on_this_machine(addr);
    let response = timeout(TIMEOUT, request_status(addr, path)).await;
    let status =
        response.unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {} s", TIMEOUT.as_secs()))));
    match status {
        Ok(200) => {
            println!("{addr} is {condition}");
            Ok(())
        }
        Ok(status) => {
            Err(CommandError(format!("{addr} is not {condition}: it answered {status}. See its log for the cause.")))
        }
        Err(error) => Err(CommandError(format!(
            "{addr} is not {condition}: {error}. Check that the server is running and KEYFOB_ADDR is right."
        ))),
    }
}

/// Returns the loopback address for a server that listens on all addresses.
fn on_this_machine(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    addr
}

async fn request_status(addr: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_RESPONSE).read_to_end(&mut answer).await?;
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::other("the answer is not HTTP"))
}
