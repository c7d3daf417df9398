//! Import of users, API keys and teams from a Django project, such as Pegasus.
//!
//! Everything happens in one transaction. The import only adds: an account, key or team that exists stays as it is.

mod dump;
mod keys;
mod report;
mod teams;
mod users;

use std::collections::{HashMap, HashSet};

pub use self::dump::{Dump, DumpError, MAX_BYTES};
pub use self::report::{Remark, RemarkKind, Report, Tally};
use crate::error::AppError;
use crate::model::teams::TeamId;
use crate::model::users::UserId;
use crate::server::audit::Actor;
use crate::server::db::{Db, Tx};

/// Imports a dump. A dry run does the same and keeps nothing of it.
///
/// # Errors
/// If the database fails. Then nothing is kept.
pub async fn import(db: &Db, dump: Dump, dry_run: bool, by: &Actor) -> Result<Report, AppError> {
    let mut tx = db.begin().await?;
    tx.disable_timeouts().await?;
    let mut importer = Importer {
        tx,
        by,
        report: Report { ignored: dump.ignored, ..Report::default() },
        users: HashMap::new(),
        teams: HashMap::new(),
    };
    importer.add_users(dump.users).await?;
    importer.add_keys(dump.keys).await?;
    importer.add_teams(dump.teams).await?;
    importer.add_memberships(dump.memberships).await?;
    importer.note_teams_without_admin();
    if !dry_run {
        importer.tx.commit().await?;
    }
    Ok(importer.report)
}

struct Importer<'a> {
    tx: Tx,
    by: &'a Actor,
    report: Report,
    /// By what the dump calls them. `None` for those that were skipped.
    users: HashMap<String, Option<ImportedUser>>,
    /// By what the dump calls them; only those that were imported.
    teams: HashMap<String, ImportedTeam>,
}

#[derive(Clone)]
struct ImportedUser {
    id: UserId,
    email: String,
    active: bool,
}

struct ImportedTeam {
    id: TeamId,
    slug: String,
    /// The place in the dump, for the report.
    place: String,
    members: HashSet<UserId>,
    has_admin: bool,
}
