//! The PostgreSQL servers of `DATABASE_URL`: connecting to the primary, and explaining failures.

use std::io::ErrorKind;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor, Row};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use url::Url;

use super::error::read_only;
use super::open::OpenError;
use super::pool::ACQUIRE_TIMEOUT;
use super::with_timeout;

/// One server, or a primary and its standbys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Servers {
    hosts: Arc<[PgConnectOptions]>,
    /// The index of the last server that accepted a connection.
    last: Arc<AtomicUsize>,
    /// Whether a read-only server is accepted.
    reads_only: bool,
}

impl Servers {
    /// Reads `postgres://user:password@host:5432/name`, where `host:port` may be several with commas between them.
    pub fn parse(url: &str) -> Result<Self, OpenError> {
        let wrong = |error: &dyn std::fmt::Display| {
            OpenError(format!(
                "DATABASE_URL cannot be read: {error}. Give it as postgres://user:password@host:5432/name, and write special \
                 characters of the password as %XX."
            ))
        };
        let mut hosts = Vec::new();
        for url in each_host(url) {
            let mut url = Url::parse(&url).map_err(|error| wrong(&error))?;
            take_target(&mut url)?;
            hosts.push(PgConnectOptions::from_str(url.as_str()).map_err(|error| wrong(&error))?);
        }
        Ok(Self { hosts: hosts.into(), last: Arc::default(), reads_only: false })
    }

    /// Accepts a read-only server.
    #[must_use]
    pub fn reads_only(self) -> Self {
        Self { reads_only: true, ..self }
    }

    /// Changes the options of each server.
    #[must_use]
    pub fn with(&self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self { hosts: self.hosts.iter().cloned().map(change).collect(), ..self.clone() }
    }

    /// Whether `DATABASE_URL` or `PGOPTIONS` sets options of the session.
    pub fn has_options(&self) -> bool {
        self.hosts.iter().any(|host| host.get_options().is_some_and(|options| !options.trim().is_empty()))
    }

    /// Returns the options of the last server that accepted a connection.
    pub fn current(&self) -> PgConnectOptions {
        self.hosts[self.last.load(Relaxed)].clone()
    }

    /// Connects to the first server that accepts writes, beginning with the last one used. Returns the first error if none does.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let (number, last) = (self.hosts.len(), self.last.load(Relaxed));
        // A little shorter than the pool's timeout, so that the cause is reported.
        let limit =
            ACQUIRE_TIMEOUT.saturating_sub(Duration::from_millis(100)) / u32::try_from(number).unwrap_or(1).max(1);
        let mut first = None;
        for at in (0..number).map(|n| (last + n) % number) {
            let connected = with_timeout(limit, async {
                let mut conn = self.hosts[at].connect().await?;
                self.check(&mut conn).await.map(|()| conn)
            });
            match connected.await {
                Ok(conn) => {
                    self.last.store(at, Relaxed);
                    return Ok(conn);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(sqlx::Error::PoolClosed))
    }

    /// Checks that a connection answers and that its server accepts writes: the data of a standby may be old.
    pub async fn check(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        // Not a statement of the request, so not logged with it.
        let row = conn.fetch_one("SHOW transaction_read_only").with_subscriber(NoSubscriber::default()).await?;
        match row.try_get::<&str, _>(0)? {
            "on" if !self.reads_only => Err(read_only()),
            _ => Ok(()),
        }
    }

    /// Explains in one line why no connection could be opened, and what to do.
    pub fn explain(&self, error: &sqlx::Error) -> OpenError {
        let host = &self.hosts[0];
        let place = match host.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", host.get_host(), host.get_port()),
        };
        let line = match error {
            sqlx::Error::Database(error) => match (error.code().as_deref(), error.message()) {
                (Some("28P01"), _) => format!(
                    "PostgreSQL at {place} refuses the password of the user {}. Correct user and password in DATABASE_URL, or \
                     set PGPASSWORD.",
                    host.get_username()
                ),
                (Some("28000"), message) => format!(
                    "PostgreSQL at {place} does not let the user {} in: {message}. Check user and sslmode in DATABASE_URL, and \
                     pg_hba.conf on the server.",
                    host.get_username()
                ),
                (Some("3D000"), _) => format!(
                    "there is no database {} at {place}. Create it with createdb, or name another one in DATABASE_URL.",
                    host.get_database().unwrap_or(host.get_username())
                ),
                (_, message) if message.contains("statement pooling") => format!(
                    "the pooler at {place} has pool_mode = statement, which knows no transactions. Set it to transaction or \
                     session, or name PostgreSQL itself in DATABASE_URL."
                ),
                (_, message) => {
                    format!("PostgreSQL at {place} refuses the connection: {message}. Check DATABASE_URL.")
                }
            },
            sqlx::Error::Tls(cause) => {
                format!("TLS with {place} failed: {cause}. Check sslmode and sslrootcert in DATABASE_URL.")
            }
            sqlx::Error::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => format!(
                    "connection refused: nothing listens at {place}. Check host and port in DATABASE_URL, and that PostgreSQL \
                     runs there."
                ),
                ErrorKind::TimedOut => format!(
                    "{place} does not answer. Check host and port in DATABASE_URL, and the firewalls on the way."
                ),
                ErrorKind::ReadOnlyFilesystem => format!(
                    "PostgreSQL at {place} is read-only: it is a standby, or default_transaction_read_only is on. Name the \
                     primary in DATABASE_URL."
                ),
                _ => format!("{place} cannot be reached: {error}. Check host, port and sslmode in DATABASE_URL."),
            },
            other => format!("cannot open the database at {place}: {other}. Check DATABASE_URL."),
        };
        OpenError(line.replace(['\n', '\r'], " "))
    }
}

/// Returns a URL for each host: sqlx accepts one only.
fn each_host(url: &str) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    hosts.split(',').map(|host| format!("{scheme}://{user}{host}{rest}")).collect()
}

/// Removes `target_session_attrs`, which sqlx does not know. Keyfob needs a server that accepts writes in any case.
fn take_target(url: &mut Url) -> Result<(), OpenError> {
    const NAME: &str = "target_session_attrs";
    let Some((_, target)) = url.query_pairs().find(|(name, _)| name == NAME) else { return Ok(()) };
    if !["any", "primary", "read-write"].contains(&&*target) {
        return Err(OpenError(format!("DATABASE_URL has {NAME}={target}: Keyfob writes. Use read-write.")));
    }
    let others = url.query_pairs().filter(|(name, _)| name != NAME);
    let others: Vec<_> = others.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Vec<String> {
        let servers = Servers::parse(url).unwrap();
        servers.hosts.iter().map(|host| format!("{}:{}", host.get_host(), host.get_port())).collect()
    }

    #[test]
    fn a_url_may_name_several_hosts() {
        assert_eq!(hosts("postgres://a/b"), ["a:5432"]);
        assert_eq!(hosts("postgres://u:p%40,q@a:1,b:2/c?target_session_attrs=read-write"), ["a:1", "b:2"]);
        assert_eq!(hosts("postgresql://u@[::1]:7,b"), ["[::1]:7", "b:5432"]);
        let servers = Servers::parse("postgres://u@a:1,b:2/c?application_name=x&target_session_attrs=primary").unwrap();
        for host in &*servers.hosts {
            assert_eq!((host.get_username(), host.get_database()), ("u", Some("c")));
            assert_eq!(host.get_application_name(), Some("x"));
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_in_one_line_without_its_password() {
        for url in [
            "postgres://u:hunter2@a:99999/b",
            "postgres://u:hunter2@a:x/b",
            "postgres://u:hunter2@a/b?sslmode=sometimes",
            "postgres://u:hunter2@a/b?target_session_attrs=standby",
        ] {
            let OpenError(line) = Servers::parse(url).unwrap_err();
            assert!(line.contains("DATABASE_URL") && !line.contains("hunter2") && !line.contains('\n'), "{line}");
        }
    }
}
