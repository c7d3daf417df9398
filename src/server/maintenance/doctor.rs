//! Checks an installation: settings, file, disk and data. Each finding says what to do. Changes nothing.

use std::net::IpAddr;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

use crate::error::AppError;
use crate::model::text::shown;
use crate::model::time::Timestamp;
use crate::model::users::Email;
use crate::server::config::{Config, Signup};
use crate::server::db::row::params;
use crate::server::db::{Db, SchemaState, Tx, migrated, sqlite_file};

/// Less free disk space than this is a finding.
const MIN_FREE_BYTES: u64 = 100_000_000;
/// How far the clock may be behind the newest event, in milliseconds: other machines wrote events, too.
const MAX_CLOCK_LAG: i64 = 60_000;
/// How many email addresses are checked.
const MAX_EMAILS: i64 = 10_000;
/// How many sign-ins in a row from one address are no coincidence.
const SIGN_INS_CHECKED: i64 = 20;

/// What a pooler costs.
const POOLER: &str = "DATABASE_URL leads to a pooler such as PgBouncer: each query takes four round trips instead of one, and \
    a key that another server revoked is refused after a second. Name PostgreSQL itself for less of both.";

/// A finding, in one line.
#[derive(Debug)]
pub enum Finding {
    /// As it should be.
    Ok(String),
    /// Worth knowing.
    Info(String),
    /// Needs a fix.
    Fail(String),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok(line) => write!(f, "ok     {line}"),
            Self::Info(line) => write!(f, "note   {line}"),
            Self::Fail(line) => write!(f, "wrong  {line}"),
        }
    }
}

/// Checks the settings, the database's file and its contents.
pub async fn run_checks(url: &str, config: &Config, now: Timestamp) -> Vec<Finding> {
    let mut found = check_settings(config);
    if let Some(file) = sqlite_file(url).ok().flatten().filter(|file| file.exists()) {
        found.extend(check_files(&file));
    }
    match Db::open_existing(url).await {
        Ok(db) => {
            found.push(Finding::Ok("The database opens.".to_owned()));
            found.extend(db.is_pooled().then(|| Finding::Info(POOLER.to_owned())));
            found.extend(check_contents(&db, config, now).await.unwrap_or_else(|error| {
                vec![Finding::Fail(format!(
                    "The database cannot be read: {} The log has the cause.",
                    error.code().title
                ))]
            }));
            db.close().await;
        }
        Err(error) => found.push(Finding::Fail(format!("The database does not open: {error}"))),
    }
    found
}

fn check_settings(config: &Config) -> Vec<Finding> {
    let origin = config.origin();
    let address = match config.check() {
        Err(refusal) => Finding::Fail(refusal),
        Ok(()) if config.https() => Finding::Ok(format!("People reach the server by https: {origin}.")),
        Ok(()) if config.allow_insecure_http => Finding::Fail(format!(
            "KEYFOB_ALLOW_INSECURE_HTTP is true and KEYFOB_PUBLIC_URL is {origin}: passwords and keys travel in the clear. \
             Put a proxy with TLS in front and use https://."
        )),
        Ok(()) => Finding::Info(format!("KEYFOB_PUBLIC_URL is {origin}: nobody but this machine can use it.")),
    };
    let signup = match config.signup {
        Signup::Open => {
            Finding::Info("Anyone may sign up. If that is not wanted, set KEYFOB_SIGNUP=closed.".to_owned())
        }
        Signup::Closed => Finding::Ok("Accounts are made by the command line only.".to_owned()),
    };
    vec![address, signup, check_proxies(config)]
}

fn check_proxies(config: &Config) -> Finding {
    let trusted = &config.trusted_proxies;
    match trusted.iter().find(|network| network.prefix_len() == 0) {
        Some(all) => Finding::Fail(format!(
            "KEYFOB_TRUSTED_PROXIES has {all}: anyone can claim any address by X-Forwarded-For. Name the networks of your proxies."
        )),
        None if trusted.is_empty() && config.https() => Finding::Info(
            "KEYFOB_TRUSTED_PROXIES is empty. Behind a proxy all people then count as one address, and share its limits. The log \
             says \"headers of a proxy come from an address\" with the address to set."
                .to_owned(),
        ),
        None if trusted.is_empty() => Finding::Ok("No proxy is trusted: addresses are those of the connections.".to_owned()),
        None => {
            let list = trusted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Finding::Ok(format!("X-Forwarded-For counts where it comes from {list}."))
        }
    }
}

/// Checks the file, its folder and the disk.
fn check_files(file: &Path) -> Vec<Finding> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    // Others must not read the file, nor replace it.
    for (path, others, wanted) in [(file, 0o077, 600), (folder, 0o022, 700)] {
        found.extend(mode(path).map(|mode| match mode & others {
            0 => Finding::Ok(format!("{} is its owner's only.", path.display())),
            _ => Finding::Fail(format!(
                "{} has mode {mode:o}: others on this machine can get at it. Run chmod {wanted} {}.",
                path.display(),
                path.display()
            )),
        }));
    }
    found.extend(rustix::fs::statvfs(folder).ok().map(|disk| match disk.f_bavail.saturating_mul(disk.f_frsize) {
        _ if disk.f_flag.contains(StatVfsMountFlags::RDONLY) => {
            Finding::Fail(format!("The disk of {} is read-only. Mount it so that it can be written.", folder.display()))
        }
        free if free >= MIN_FREE_BYTES => Finding::Ok("There is room on the disk.".to_owned()),
        free => Finding::Fail(format!(
            "The disk of {} has {} MB left. Make room, or changes will fail.",
            folder.display(),
            free / 1_000_000
        )),
    }));
    found
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

async fn check_contents(db: &Db, config: &Config, now: Timestamp) -> Result<Vec<Finding>, AppError> {
    let mut tx = db.snapshot().await?;
    tx.disable_timeouts().await?;
    let mut found = Vec::new();
    if matches!(db, Db::Sqlite { .. }) {
        found.push(check_integrity(&mut tx).await);
    }
    let migrations = migrated(&mut tx).await?;
    found.push(match migrations {
        SchemaState::UpToDate => Finding::Ok("The database has all migrations.".to_owned()),
        SchemaState::Pending => Finding::Fail(
            "The database lacks migrations of this program. Run keyfob migrate, or start the server.".to_owned(),
        ),
        SchemaState::Newer => Finding::Fail(
            "The database is newer than this program. Start a newer keyfob, or restore a backup.".to_owned(),
        ),
    });
    if migrations != SchemaState::Pending {
        found.push(check_superusers(&mut tx).await?);
        found.push(check_clock(&mut tx, now).await?);
        found.extend(check_emails(&mut tx).await?);
        found.extend(check_imported(&mut tx).await?);
        if config.trusted_proxies.is_empty() {
            found.extend(check_addresses(&mut tx).await?);
        }
    }
    Ok(found)
}

async fn check_integrity(tx: &mut Tx) -> Finding {
    let damaged =
        |what: &str| Finding::Fail(format!("The database is damaged: {what}. Stop the server and restore a backup."));
    match tx.check_integrity().await {
        Ok(found) if found == "ok" => Finding::Ok("The database is whole.".to_owned()),
        Ok(found) => damaged(&found.replace('\n', " ")),
        Err(error) => damaged(&error.to_string()),
    }
}

async fn check_superusers(tx: &mut Tx) -> Result<Finding, AppError> {
    let sql = "SELECT COUNT(*) AS number FROM users WHERE superuser AND disabled_at IS NULL";
    let number: i64 = tx.query_one(sql, &[], |row| row.get("number")).await?;
    Ok(match number {
        0 => Finding::Fail("There is no superuser. Make one: keyfob user promote --email you@example.com.".to_owned()),
        _ => Finding::Ok(format!("Superusers: {number}.")),
    })
}

/// Finds accounts of older versions whose email address looks like another one.
async fn check_emails(tx: &mut Tx) -> Result<Option<Finding>, AppError> {
    // Only an address that is not ASCII can.
    let sql = "SELECT email FROM users WHERE octet_length(email) <> length(email) ORDER BY email LIMIT $1";
    let found: Vec<String> = tx.query(sql, params![MAX_EMAILS], |row| row.get("email")).await?;
    let is_old = |email: &str| Email::parse(email).map_or(true, |parsed| parsed.as_str() != email);
    let old: Vec<_> = found.iter().filter(|email| is_old(email)).map(|email| shown(email)).collect();
    Ok(old.first().map(|first| {
        Finding::Info(format!(
            "Accounts with an address that a new account may not have, for it can look like another one: {}, such as {first}. Their \
             owners can sign in; look at them in /admin/users, and disable those that nobody knows.",
            old.len()
        ))
    }))
}

/// Counts what was imported and waits for its first use.
async fn check_imported(tx: &mut Tx) -> Result<Option<Finding>, AppError> {
    let sql = "SELECT (SELECT COUNT(*) FROM users WHERE imported_cost IS NOT NULL AND password_hash NOT LIKE '$%') AS users, \
               (SELECT COUNT(*) FROM imported_keys) AS keys";
    let (users, keys): (i64, i64) = tx.query_one(sql, &[], |row| Ok((row.get("users")?, row.get("keys")?))).await?;
    Ok((users + keys > 0).then(|| {
        Finding::Info(format!(
            "Imported and not used since: {users} passwords, {keys} keys. Each gets a hash of Keyfob's own at its first use."
        ))
    }))
}

/// Finds out whether all sign-ins come from one private address, which is usually the proxy's.
async fn check_addresses(tx: &mut Tx) -> Result<Option<Finding>, AppError> {
    let sql = "SELECT ip FROM audit WHERE action = 'session.begin' ORDER BY id DESC LIMIT $1";
    let found: Vec<String> = tx.query(sql, params![SIGN_INS_CHECKED], |row| row.get("ip")).await?;
    let (Some(first), true) = (found.first(), i64::try_from(found.len()) == Ok(SIGN_INS_CHECKED)) else {
        return Ok(None);
    };
    let is_private = match first.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
        Err(_) => false,
    };
    Ok((is_private && found.iter().all(|ip| ip == first)).then(|| {
        Finding::Fail(format!(
            "The last {SIGN_INS_CHECKED} sign-ins came from {first}, which looks like a proxy: all people share its limits. Set \
             KEYFOB_TRUSTED_PROXIES={first} if it is yours."
        ))
    }))
}

async fn check_clock(tx: &mut Tx, now: Timestamp) -> Result<Finding, AppError> {
    // Ids begin with their time.
    let sql = "SELECT at FROM audit ORDER BY id DESC LIMIT 1";
    let newest: Option<Timestamp> = tx.query_optional(sql, &[], |row| row.get("at")).await?;
    Ok(match newest {
        Some(at) if at > now.plus(MAX_CLOCK_LAG) => Finding::Fail(format!(
            "The clock says {}, and the newest event of the audit is of {}. Set the clock, or find out which machine's was \
             wrong.",
            now.rfc3339(),
            at.rfc3339()
        )),
        _ => Finding::Ok("The clock is not behind what was written.".to_owned()),
    })
}
