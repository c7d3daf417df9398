//! Asks over HTTP with a key, each time on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::support::http::{Connection, body, header, request};

/// How long an answer may take, whatever has happened to the server.
pub const ANSWER: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    text: String,
}

impl Answer {
    /// Whether it is this refusal of the API.
    pub fn refuses(&self, status: u16, code: &str) -> bool {
        self.status == status && self.text.contains(&format!("\"code\":\"{code}\""))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(body(&self.text)).unwrap()
    }
}

/// The bytes of a request; without a key if that is empty.
pub fn with_key(line: &str, key: &str) -> Vec<u8> {
    let key = (!key.is_empty()).then(|| format!("Authorization: Api-Key {key}"));
    request(line, &key.as_deref().into_iter().collect::<Vec<_>>(), "")
}

/// # Errors
/// If no whole answer came in time.
pub async fn ask(addr: SocketAddr, line: &str, key: &str) -> io::Result<Answer> {
    let asking = async {
        let mut connection = Connection::open(addr).await?;
        let status = connection.ask(&with_key(line, key)).await?;
        Ok(Answer { status, text: connection.text() })
    };
    let none = |_| io::Error::other(format!("{line}: no whole answer came within {ANSWER:?}"));
    timeout(ANSWER, asking).await.map_err(none)?
}

/// Asks who is calling: what every key that works may.
pub async fn me(addr: SocketAddr, key: &str) -> Answer {
    ask(addr, "GET /api/v1/me", key).await.unwrap()
}

/// Uses a key that works.
pub async fn use_key(addr: SocketAddr, key: &str) {
    let answer = me(addr, key).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Revokes a key by itself; gives the instant of the answer.
pub async fn revoke(addr: SocketAddr, key: &str) -> Instant {
    let answer = ask(addr, "DELETE /api/v1/key", key).await.unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
    Instant::now()
}

/// Asks with a key until it is refused with 401 and this code; gives the time since `since`. Fails at any other refusal,
/// and if the key is still let in after `limit`.
pub async fn until_refused(addr: SocketAddr, key: &str, code: &str, (since, limit): (Instant, Duration)) -> Duration {
    loop {
        let asked = since.elapsed();
        let answer = me(addr, key).await;
        if answer.refuses(401, code) {
            return since.elapsed();
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(asked < limit, "{addr} let the key in when it was asked after {asked:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// The least, of values in order, that so many hundredths of them do not exceed.
pub fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted[(sorted.len() * hundredths).div_ceil(100) - 1]
}
