//! Reads Prometheus' text format.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One scrape.
#[derive(Debug)]
pub struct Scrape(pub String);

/// Sends a request without a body; returns the answer, empty where there is none.
pub async fn get(addr: SocketAddr, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(addr).await else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

impl Scrape {
    /// Scrapes a server.
    pub async fn of(addr: SocketAddr) -> Self {
        let answer = get(addr, "/metrics").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no scrape: {answer}"));
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
        Self(body.to_owned())
    }

    /// Returns the sum of the series of a metric that have all these labels, as `name="value"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, own) = series.split_once('{').unwrap_or((series, ""));
            let own: BTreeSet<_> =
                own.trim_end_matches('}').split("\",").map(|label| label.trim_end_matches('"')).collect();
            let fits = found == name && labels.iter().all(|label| own.contains(label.trim_end_matches('"')));
            fits.then(|| value.parse::<f64>().unwrap())
        });
        series.sum()
    }

    /// Returns the same as a whole number.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let sum = self.sum(name, labels);
        assert!(sum.fract() == 0.0 && sum >= 0.0, "{name}{labels:?} is {sum}");
        format!("{sum}").parse().unwrap()
    }

    /// Returns the names of all series, such as `keyfob_http_request_duration_seconds_bucket`.
    pub fn names(&self) -> BTreeSet<&str> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(['{', ' ']).next().unwrap()).collect()
    }
}
