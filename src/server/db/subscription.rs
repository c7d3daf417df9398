//! A PostgreSQL connection that listens for the changes that other processes announce.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::time::timeout;

use super::{CHANNEL, Error, Servers};

/// How long opening the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long PostgreSQL may take to answer a heartbeat.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// The payload of a heartbeat. No id has this form.
const HEARTBEAT: &str = "beat";

/// A listening connection.
pub struct Subscription(PgListener);

/// What a [`Subscription`] received.
pub enum Received {
    /// The id of a key or user that changed.
    Change(String),
    /// Its own heartbeat.
    Heartbeat,
    /// Nothing, within the time.
    Nothing,
}

impl Subscription {
    /// Opens a connection outside of the pool, so that a busy pool cannot delay it.
    pub async fn open(servers: &Servers) -> Result<Self, Error> {
        let options = servers.current().application_name("keyfob-listen");
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT).connect_lazy_with(options);
        let mut listener = timeout(CONNECT_TIMEOUT, PgListener::connect_with(&pool)).await.map_err(|_| silent())??;
        timeout(CONNECT_TIMEOUT, listener.listen(CHANNEL)).await.map_err(|_| silent())??;
        listener.eager_reconnect(false);
        Ok(Self(listener))
    }

    /// Waits for the next notification, at most this long. Fails when the connection ends.
    pub async fn receive(&mut self, wait: Duration) -> Result<Received, Error> {
        match timeout(wait, self.0.try_recv()).await {
            Ok(Ok(Some(said))) if said.payload() == HEARTBEAT => Ok(Received::Heartbeat),
            Ok(Ok(Some(said))) => Ok(Received::Change(said.payload().to_owned())),
            Ok(Ok(None)) => Err(Error::Protocol("the listening connection ended".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(Received::Nothing),
        }
    }

    /// Sends a heartbeat to this connection. Fails on a server that became read-only: changes happen elsewhere.
    pub async fn send_heartbeat(&mut self) -> Result<(), Error> {
        let sql = "SELECT pg_notify($1, $2), current_setting('transaction_read_only')";
        let query = sqlx::query(sql).bind(CHANNEL).bind(HEARTBEAT);
        let row = timeout(HEARTBEAT_TIMEOUT, query.fetch_one(&mut self.0)).await.map_err(|_| silent())??;
        match row.try_get::<&str, _>(1)? {
            "on" => Err(Error::Protocol("the server became read-only: changes happen elsewhere".to_owned())),
            _ => Ok(()),
        }
    }
}

/// The error of a connection that does not answer.
pub fn silent() -> Error {
    Error::Protocol("the listening connection is silent".to_owned())
}
