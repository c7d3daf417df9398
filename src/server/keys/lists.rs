//! Lists of keys for pages and the command line, a page at a time: expired and revoked keys stay in them.

use std::cmp::Ordering;

use super::facts;
use crate::error::AppError;
use crate::model::keys::{KeyEntry, KeyId, KeyList, KeySlice, OwnKeyQuery, StateFilter};
use crate::model::redact::redact;
use crate::model::teams::TeamId;
use crate::model::time::{DAY, Timestamp};
use crate::model::usage::{DayUsage, usage_after};
use crate::model::users::{UserId, browser_name};
use crate::server::apis;
use crate::server::auth::key_format::search_term;
use crate::server::auth::random;
use crate::server::auth::sessions::Session;
use crate::server::db::row::{Row, params};
use crate::server::db::{Db, like};
use crate::server::state::AppState;
use crate::server::teams::memberships;

/// Keys as lists show them; the parameter $1 is the day before the first whose requests are counted.
macro_rules! entries {
    ($($rest:literal),*) => { concat!(entries!(@ ""), $($rest),*) };
    // With more columns before its own.
    (@ $more:literal) => {
        concat!(
            "SELECT ", $more, facts_columns!(), ", u.email AS owner, u.disabled_at AS owner_disabled_at, t.name AS team, m.role, ",
            "k.used_at, k.used_ip, k.used_agent, latest.used_at AS latest_at, latest.used_ip AS latest_ip, ",
            "latest.used_agent AS latest_agent, k.rotated_at, k.old_expires_at, ",
            "k.old_used_at, k.leaked_at, k.rate, (SELECT string_agg(CAST(day AS TEXT) || ':' || CAST(allowed AS TEXT) ",
            "|| ':' || CAST(refused AS TEXT), ' ') FROM usage WHERE key_id = k.id AND day > $1) AS days ",
            "FROM keys k JOIN users u ON u.id = k.user_id LEFT JOIN teams t ON t.id = k.team_id ",
            "LEFT JOIN members m ON m.team_id = k.team_id AND m.user_id = k.user_id ",
            "LEFT JOIN usage latest ON latest.key_id = k.id AND latest.day = ",
            "(SELECT MAX(day) FROM usage WHERE key_id = k.id AND used_at IS NOT NULL) "
        )
    };
}
pub(super) use entries;

/// A key as lists show it; the columns of [`entries`].
pub(super) fn entry(row: Row<'_>) -> Result<KeyEntry, AppError> {
    // The key's own row has uses of days that are deleted, and of servers of an older version during an upgrade.
    let (older, latest): (Option<Timestamp>, Option<Timestamp>) = (row.get("used_at")?, row.get("latest_at")?);
    let (used_at, used_ip, agent): (_, _, Option<String>) = if latest >= older {
        (latest, row.get("latest_ip")?, row.get("latest_agent")?)
    } else {
        (older, row.get("used_ip")?, row.get("used_agent")?)
    };
    Ok(KeyEntry {
        key: facts(row)?,
        owner: row.get("owner")?,
        owner_disabled_at: row.get("owner_disabled_at")?,
        team: row.get("team")?,
        in_team: row.get::<Option<String>>("role")?.is_some(),
        used_at,
        used_ip,
        used_agent: agent.filter(|agent| !agent.is_empty()).map(|agent| browser_name(&agent)),
        rotated_at: row.get("rotated_at")?,
        old_expires_at: row.get("old_expires_at")?,
        old_used_at: row.get("old_used_at")?,
        leaked_at: row.get("leaked_at")?,
        rate: row.get("rate")?,
        days: parse_days(&row.get::<Option<String>>("days")?.unwrap_or_default()),
    })
}

/// Reads the days that [`entries`] aggregates into one text: `20710:12:0 20711:3:1`.
fn parse_days(text: &str) -> Vec<DayUsage> {
    let day = |text: &str| {
        let mut numbers = text.split(':').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(DayUsage { day: next()?, allowed: next()?, refused: next()? })
    };
    text.split_ascii_whitespace().filter_map(day).collect()
}

/// How many keys a page shows.
pub(super) const PAGE_SIZE: usize = 25;
/// How many keys the operator's command line reads at a time.
const BATCH_SIZE: usize = 500;
/// Up to this limit of live keys, a page of them is read inline.
const MAX_INLINE_KEYS: u32 = 1_000;
/// How long the profile page shows that a key was reported as leaked, in milliseconds.
const LEAK_NOTICE_AGE: i64 = 30 * DAY;
/// How many of them it shows.
const MAX_LEAK_NOTICES: usize = 5;

/// Later than any event.
const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// The parts of a list, in their order. Each is sorted by a time of its own.
const WORKING: i64 = 0;
const EXPIRED: i64 = 1;
const REVOKED: i64 = 2;
/// Not of the list: keys that were reported as leaked.
const LEAKED: i64 = 3;

/// A page of the keys of an owner: those that work, the last made first; then those that expired and those that were revoked,
/// the last first. Each part begins where an index says, so that the thousandth page costs no more than the first; only those
/// that work are all read and sorted, for there is a limit to them. The plus keeps SQLite from the index by `created_at`, in which
/// those that ended stand between them.
macro_rules! page_of {
    // `$filter` is a condition of the search.
    ($owner:literal, $leaked:literal, $filter:literal) => {
        concat!(
            entries!(@ "page.part, "),
            "JOIN (SELECT id, part, place FROM (SELECT id, part, place FROM (",
            "SELECT id, CAST(0 AS BIGINT) AS part, created_at AS place FROM (SELECT id, +created_at AS created_at FROM keys WHERE ", $owner,
            " = $2 AND revoked_at IS NULL AND expires_at IS NULL", $filter, " UNION ALL SELECT id, +created_at FROM keys WHERE ", $owner,
            " = $2 AND revoked_at IS NULL AND expires_at > $3", $filter, ") AS working WHERE (created_at, id) < ($6, $7) UNION ALL ",
            "SELECT id, part, expires_at FROM (SELECT id, CAST(1 AS BIGINT) AS part, expires_at FROM keys WHERE ", $owner,
            " = $2 AND revoked_at IS NULL AND (expires_at, id) < ($8, $9)", $filter, " ",
            "ORDER BY expires_at DESC, id DESC LIMIT $4) AS expired UNION ALL ",
            "SELECT id, part, revoked_at FROM (SELECT id, CAST(2 AS BIGINT) AS part, revoked_at FROM keys WHERE ", $owner,
            " = $2 AND revoked_at IS NOT NULL AND (revoked_at, id) < ($10, $11)", $filter, " ",
            "ORDER BY revoked_at DESC, id DESC LIMIT $4) AS revoked",
            ") AS parts ORDER BY part, place DESC, id DESC LIMIT $4) AS list UNION ALL ",
            "SELECT id, part, leaked_at FROM (SELECT id, CAST(3 AS BIGINT) AS part, ", $leaked, " AS leaked_at FROM keys WHERE ",
            $owner, " = $2 AND ", $leaked, " IS NOT NULL AND ", $leaked, " > $5 ORDER BY ", $leaked,
            " DESC, id DESC LIMIT 6) AS leaked",
            ") AS page ON page.id = k.id ORDER BY page.part, page.place DESC, page.id DESC"
        )
    };
}

/// Which page of the keys of an owner.
struct Wanted<'a> {
    /// The user or the team.
    owner: &'a str,
    /// Part of a name, or a prefix; all keys if empty.
    search: &'a str,
    state: StateFilter,
    /// Where the page before ended; the first page if empty.
    after: &'a str,
    /// Those that were reported as leaked after this are told apart. A team's are not: for one this is the end of time.
    leaked_after: Timestamp,
    /// How many to a page.
    number: usize,
    now: Timestamp,
}

/// A page of keys, and what else the profile page says of them.
struct KeyListRows {
    keys: Vec<KeyEntry>,
    next: Option<String>,
    leaked: Vec<KeyEntry>,
}

/// Where a page ends, for the next to begin after.
struct Cursor<'a> {
    part: i64,
    place: i64,
    id: &'a str,
}

impl<'a> Cursor<'a> {
    /// Reads what [`Cursor::text`] wrote; the beginning of the list for anything else.
    fn parse(raw: &'a str) -> Self {
        let mut fields = raw.splitn(3, '~');
        let mut number = || fields.next()?.parse().ok();
        let read = number().zip(number());
        match (read, fields.next()) {
            (Some((part, place)), Some(id)) => Self { part, place, id },
            _ => Self { part: WORKING, place: i64::MAX, id: "~" },
        }
    }

    fn text(entry: &KeyEntry, now: Timestamp) -> String {
        let key = &entry.key;
        let (part, place) = match (key.revoked_at, key.expires_at) {
            (Some(at), _) => (REVOKED, at),
            (None, Some(at)) if at <= now => (EXPIRED, at),
            (None, _) => (WORKING, key.created_at),
        };
        format!("{part}~{}~{}", place.as_millis(), key.id)
    }

    /// The place in a part that its rows have to be below: none are below the last, all below the first.
    fn bound(&self, part: i64) -> (i64, &'a str) {
        match self.part.cmp(&part) {
            Ordering::Less => (i64::MAX, "~"),
            Ordering::Equal => (self.place, self.id),
            Ordering::Greater => (i64::MIN, ""),
        }
    }
}

impl Wanted<'_> {
    /// The page, read by [`Db::query_inline`] or [`Db::query`].
    async fn read(&self, db: &Db, sql: &'static str, is_short: bool) -> Result<KeyListRows, AppError> {
        let cursor = Cursor::parse(self.after);
        let bound = |part, state| match self.state {
            StateFilter::All => cursor.bound(part),
            wanted if wanted == state => cursor.bound(part),
            _ => (i64::MIN, ""),
        };
        let working = bound(WORKING, StateFilter::Active);
        let expired = bound(EXPIRED, StateFilter::Expired);
        // A key that has not expired is not in that part.
        let expired = if expired.0 > self.now.as_millis() { (self.now.as_millis(), "~") } else { expired };
        let revoked = bound(REVOKED, StateFilter::Revoked);
        let pattern = like(self.search);
        let limit = i64::try_from(self.number + 1).unwrap_or(i64::MAX);
        let usage_after = usage_after(self.now);
        // The last two are of the search.
        let params = params![
            usage_after,
            self.owner,
            self.now,
            limit,
            self.leaked_after,
            working.0,
            working.1,
            expired.0,
            expired.1,
            revoked.0,
            revoked.1,
            pattern,
            self.search,
        ];
        let params = if self.search.is_empty() { &params[..11] } else { params };
        let rows = if is_short {
            db.query_inline(sql, params, in_part).await?
        } else {
            db.query(sql, params, in_part).await?
        };
        Ok(self.sort(rows))
    }

    fn sort(&self, rows: Vec<(i64, KeyEntry)>) -> KeyListRows {
        let mut found = KeyListRows { keys: Vec::new(), next: None, leaked: Vec::new() };
        for (part, entry) in rows {
            match part {
                LEAKED => found.leaked.push(entry),
                _ => found.keys.push(entry),
            }
        }
        let more = found.keys.len() > self.number;
        found.keys.truncate(self.number);
        found.next = found.keys.last().filter(|_| more).map(|entry| Cursor::text(entry, self.now));
        found
    }
}

fn in_part(row: Row<'_>) -> Result<(i64, KeyEntry), AppError> {
    Ok((row.get("part")?, entry(row)?))
}

/// Returns a page of a user's keys, and the data of the form for a new one.
pub async fn page(state: &AppState, session: &Session, query: OwnKeyQuery) -> Result<KeyList, AppError> {
    let (user, now) = (&session.user.id, state.now());
    // A copied prefix ends as the page shows it.
    let search = search_term(query.search.trim().trim_end_matches('…'));
    let wanted = Wanted {
        owner: user.as_str(),
        search: &search,
        state: query.state,
        after: &query.after,
        leaked_after: now.plus(-LEAK_NOTICE_AGE),
        number: PAGE_SIZE,
        now,
    };
    let found = if search.is_empty() {
        let is_short = state.config.keys.max_keys_per_user <= MAX_INLINE_KEYS;
        wanted.read(&state.db, page_of!("user_id", "leaked_at", ""), is_short).await?
    } else {
        // It may read every revoked key.
        let _turn = state.read_concurrency.acquire(user.as_str()).await?;
        let sql = page_of!("user_id", "leaked_at", " AND (name_folded LIKE $12 ESCAPE '\\' OR prefix = $13)");
        wanted.read(&state.db, sql, false).await?
    };
    let sql = entries!("WHERE k.id = $2 AND k.user_id = $3");
    let about = by_id(&state.db, sql, &wanted, &query.about).await?;
    let teams = if session.in_team { memberships::list(&state.db, user).await? } else { Vec::new() };
    let query = OwnKeyQuery { after: redact(&query.after).into_owned(), search, about: String::new(), ..query };
    let leaked = found.leaked.iter().take(MAX_LEAK_NOTICES).map(|entry| entry.key.clone()).collect();
    let apis = if query.create { apis::offered(state).await? } else { Vec::new() };
    Ok(KeyList {
        keys: found.keys,
        next: found.next,
        about: about.map(Box::new),
        query,
        teams,
        apis,
        leaked,
        more_leaked: found.leaked.len() > MAX_LEAK_NOTICES,
        now,
        form_id: random::make_id(now),
        origin: state.config.origin(),
    })
}

/// The key of the owner with this id, wherever in the list it is.
async fn by_id(
    db: &Db,
    sql: &'static str,
    Wanted { owner, now, .. }: &Wanted<'_>,
    id: &str,
) -> Result<Option<KeyEntry>, AppError> {
    match KeyId::parse(id) {
        Some(id) => db.query_optional(sql, params![usage_after(*now), id, owner], entry).await,
        None => Ok(None),
    }
}

/// The next keys of a user for an export, oldest first, after the one that was created at `after.0` with the id `after.1`.
pub async fn batch(db: &Db, user: &UserId, after: (i64, &str), now: Timestamp) -> Result<Vec<KeyEntry>, AppError> {
    let sql =
        entries!("WHERE k.user_id = $2 AND (k.created_at, k.id) > ($3, $4) ORDER BY k.created_at, k.id LIMIT 500");
    db.query(sql, params![usage_after(now), user, after.0, after.1], entry).await
}

/// All keys of a user, for the operator's command line; in the order of the page.
pub async fn list(db: &Db, user: &UserId, now: Timestamp, mut show: impl FnMut(KeyEntry)) -> Result<(), AppError> {
    let mut after = String::new();
    loop {
        let wanted = Wanted {
            owner: user.as_str(),
            search: "",
            state: StateFilter::All,
            after: &after,
            leaked_after: NEVER,
            number: BATCH_SIZE,
            now,
        };
        let found = wanted.read(db, page_of!("user_id", "leaked_at", ""), false).await?;
        found.keys.into_iter().for_each(&mut show);
        let Some(next) = found.next else { return Ok(()) };
        after = next;
    }
}

/// A page of the keys of a team's members that are limited to the team, with the revoked ones.
pub async fn list_of_team(
    state: &AppState,
    (team, user): (&TeamId, &UserId),
    (after, about): (&str, &str),
) -> Result<KeySlice, AppError> {
    let wanted = Wanted {
        owner: team.as_str(),
        search: "",
        state: StateFilter::All,
        after,
        leaked_after: NEVER,
        number: PAGE_SIZE,
        now: state.now(),
    };
    // A team has as many as its members make.
    let turns = state.read_concurrency.acquire_both(team.as_str(), user.as_str()).await?;
    let found = wanted.read(&state.db, page_of!("team_id", "revoked_at", ""), false).await?;
    drop(turns);
    let about = by_id(&state.db, entries!("WHERE k.id = $2 AND k.team_id = $3"), &wanted, about).await?;
    Ok(KeySlice { keys: found.keys, next: found.next, about })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_and_anything_else_is_left_out() {
        let days = [(20710, 12, 0), (20711, 3, 1)].map(|(day, allowed, refused)| DayUsage { day, allowed, refused });
        assert_eq!(parse_days("20710:12:0 20711:3:1"), days);
        assert_eq!(parse_days(""), []);
        assert_eq!(parse_days("junk 1:2 1:x:3 20710:12:0 20711:3:1"), days);
    }
}
