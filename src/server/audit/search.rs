//! The events that an administrator looks for: a page at a time, or all of them as CSV.

use axum::body::Bytes;
use futures_util::stream::{self, Stream, StreamExt};

use super::entry;
use crate::error::AppError;
use crate::model::audit::{AuditEntry, AuditPage, AuditQuery, Span};
use crate::model::time::Timestamp;
use crate::model::users::Email;
use crate::server::auth::key_format::search_term;
use crate::server::db::Db;
use crate::server::db::fold::fold;
use crate::server::db::row::params;

/// How many events the administrators' page shows at a time.
const PAGE_SIZE: usize = 50;
/// How many events of a download are in memory at a time.
const BATCH_SIZE: usize = 500;

/// The events that an administrator asks for, the latest first.
///
/// # Errors
/// [`AppError::Invalid`] if a day is none, and if the database does not answer.
pub async fn page(db: &Db, query: &AuditQuery) -> Result<AuditPage, AppError> {
    let mut entries = list(db, query, PAGE_SIZE + 1).await?;
    let more = entries.len() > PAGE_SIZE;
    entries.truncate(PAGE_SIZE);
    let next = entries.last().filter(|_| more).map(|entry| entry.id.clone());
    let AuditQuery { action, who, from, to, before } = query;
    let [action, who, from, to, before] = [action, who, from, to, before].map(|text| search_term(text));
    Ok(AuditPage { entries, next, query: AuditQuery { action, who, from, to, before } })
}

macro_rules! events {
    ($filter:literal) => {
        concat!(
            "SELECT id, at, action, actor, ip, subject, detail FROM audit WHERE id < $4 AND id >= $5 ",
            $filter,
            " ORDER BY id DESC LIMIT $6"
        )
    };
}

async fn list(db: &Db, query: &AuditQuery, most: usize) -> Result<Vec<AuditEntry>, AppError> {
    // A key's prefix has capitals; an email address and a team's address have none.
    let who = search_term(query.who.trim());
    let folded = Email::to_find(&who).map_or_else(|_| fold(&who), |email| email.as_str().to_owned());
    let Span { from, until } = query.span()?;
    // An id is made of its time, so ids are in the order of time.
    let (first, end) = (first_id(from), first_id(until));
    let before = if query.before.is_empty() || query.before > end { &end } else { &query.before };
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    // A statement for each kind of filter, for each has an index of its own. All take the same parameters.
    let sql = match (query.action.is_empty(), who.is_empty()) {
        (true, true) => events!("AND $1 = '' AND $2 = '' AND $3 = ''"),
        (false, true) => events!("AND action = $1 AND $2 = '' AND $3 = ''"),
        (true, false) => events!("AND $1 = '' AND (actor IN ($2, $3) OR subject IN ($2, $3))"),
        (false, false) => events!("AND action = $1 AND (actor IN ($2, $3) OR subject IN ($2, $3))"),
    };
    db.query(sql, params![query.action, who, folded, before, first, most], entry).await
}

/// Not after any id that is made at a time, and after all from before.
fn first_id(at: Timestamp) -> String {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    format!("{:08x}-{:04x}-0000-0000-000000000000", millis >> 16, millis & 0xffff)
}

/// All events that an administrator asks for as CSV (RFC 4180), the latest first. They are read in parts, each after the client
/// has taken the one before; none holds a connection to the database while it waits. A part that cannot be read ends the
/// download with an error, for half of it must not look like the whole.
pub async fn csv(
    db: Db,
    query: AuditQuery,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + Send + 'static, AppError> {
    let first = Part::read(&db, query, true).await?;
    let rest = stream::try_unfold(first.next, move |next| {
        let db = db.clone();
        async move {
            let Some(query) = next else { return Ok(None) };
            let part = Part::read(&db, query, false).await?;
            Ok(Some((part.lines, part.next)))
        }
    });
    Ok(stream::iter([Ok(first.lines)]).chain(rest))
}

/// A part of a download.
struct Part {
    lines: Bytes,
    /// Which events follow; none if it is the last part.
    next: Option<AuditQuery>,
}

impl Part {
    async fn read(db: &Db, query: AuditQuery, headed: bool) -> Result<Self, AppError> {
        let entries = list(db, &query, BATCH_SIZE).await?;
        let mut csv = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(Vec::new());
        let mut write = |fields: [&str; 6]| csv.write_record(fields.map(plain)).map_err(|_| AppError::Internal);
        if headed {
            write(["when", "what", "to", "detail", "by", "from"])?;
        }
        for entry in &entries {
            write([
                &entry.at.rfc3339(),
                entry.action.as_str(),
                &entry.subject,
                &entry.detail,
                &entry.actor,
                &entry.ip,
            ])?;
        }
        let lines = csv.into_inner().map_err(|_| AppError::Internal)?.into();
        let last = entries.last().filter(|_| entries.len() == BATCH_SIZE).map(|entry| entry.id.clone());
        Ok(Self { lines, next: last.map(|before| AuditQuery { before, ..query }) })
    }
}

/// A text that no spreadsheet takes for a formula (OWASP, CSV injection).
fn plain(text: &str) -> String {
    // The wide forms too: spreadsheets in East Asian languages read them alike.
    let begins = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(begins) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::auth::random::make_id;

    #[test]
    fn the_first_id_of_a_time_is_before_all_of_it_and_after_all_before() {
        for millis in [0, 65_535, 65_536, 1_800_000_000_000, 253_402_300_799_999] {
            let at = Timestamp::from_millis(millis);
            assert!(first_id(at) <= make_id(at) && make_id(at) < first_id(at.plus(1)), "{millis}");
        }
    }
}
