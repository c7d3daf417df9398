//! `keyfob healthcheck`

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::CommandError;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than the beginning of an answer.
const MOST: u64 = 1024;

#[derive(Args)]
pub struct Healthcheck {
    /// Where the server listens
    #[arg(long, env = "KEYFOB_ADDR", default_value = "127.0.0.1:8000")]
    addr: SocketAddr,
    /// Ask whether it is ready, too: its database answers, accepts writes and has all migrations
    #[arg(long)]
    ready: bool,
}

/// # Errors
/// If the server is not there or not well.
pub async fn run(Healthcheck { addr, ready }: Healthcheck) -> Result<(), CommandError> {
    let (path, well) = if ready { ("/readyz", "ready") } else { ("/healthz", "alive") };
    let addr = on_this_machine(addr);
    let asked = timeout(PATIENCE, ask(addr, path)).await;
    let answer = asked.unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {} s", PATIENCE.as_secs()))));
    match answer {
        Ok(200) => {
            println!("{addr} is {well}");
            Ok(())
        }
        Ok(status) => Err(CommandError(format!("{addr} is not {well}: it answers {status}. Its log has the cause."))),
        Err(error) => {
            Err(CommandError(format!("{addr} is not {well}: {error}. Is it running, and is KEYFOB_ADDR right?")))
        }
    }
}

/// Where a server that listens on all addresses can be reached.
fn on_this_machine(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    addr
}

async fn ask(addr: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::other("what came is no answer of a web server"))
}
