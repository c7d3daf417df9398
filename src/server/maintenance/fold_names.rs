//! Fills `name_folded` for names that an older version stored.

use std::time::Duration;

use crate::error::AppError;
use crate::server::db::fold::fold;
use crate::server::db::row::params;
use crate::server::db::{Db, bulk};

/// How many names are folded in one transaction: few enough to let others write between.
const BATCH: i64 = 500;
/// How long to wait between two batches, and for names that an older server writes during an upgrade.
const PAUSE: Duration = Duration::from_millis(50);
const CHECK_EVERY: Duration = Duration::from_mins(1);

/// A table with names.
struct Names {
    unfolded: &'static str,
    update: (&'static str, &'static str),
}

macro_rules! names {
    ($table:literal, $unfolded:literal) => {
        Names {
            unfolded: concat!("SELECT id, name FROM ", $table, " WHERE ", $unfolded, " ORDER BY id LIMIT $1"),
            update: (
                concat!("UPDATE ", $table, " SET name_folded = folded.column2 FROM ("),
                // A name that was changed in between has been folded with its change.
                concat!(
                    ") AS folded WHERE ",
                    $table,
                    ".id = folded.column1 AND ",
                    $table,
                    ".name = folded.column3 AND name_folded = ''"
                ),
            ),
        }
    };
}

const TABLES: [Names; 3] = [
    names!("users", "name_folded = '' AND name <> ''"),
    names!("keys", "name_folded = ''"),
    names!("employees", "name_folded = ''"),
];

/// Folds names that no program has folded yet, some of each table; gives how many it found.
///
/// # Errors
/// If the database does not answer.
pub async fn fold_some(db: &Db) -> Result<usize, AppError> {
    let mut found = 0;
    for Names { unfolded, update } in TABLES {
        let names = db.query(unfolded, params![BATCH], |row| Ok((row.get("id")?, row.get("name")?))).await?;
        if names.is_empty() {
            continue;
        }
        found += names.len();
        let row = |(id, name): (String, String)| [id.into(), fold(&name).into(), name.into()];
        let mut tx = db.begin().await?;
        bulk::insert_rows(&mut tx, update, &names.into_iter().map(row).collect::<Vec<_>>()).await?;
        tx.commit().await?;
    }
    Ok(found)
}

/// Folds what is not folded for as long as the server runs. Until then a name is not found, everything else is.
pub async fn run(db: Db) {
    loop {
        // A failure is logged where it happens.
        let pause = if matches!(fold_some(&db).await, Ok(1..)) { PAUSE } else { CHECK_EVERY };
        tokio::time::sleep(pause).await;
    }
}
