//! What an import took, and what it skipped and why.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::text::shown;

/// The outcome of an import.
#[derive(Debug, Default)]
pub struct Report {
    pub users: Tally,
    pub keys: Tally,
    pub teams: Tally,
    pub memberships: Tally,
    /// In the order of the dump.
    pub remarks: Vec<Remark>,
    /// Models that are not imported, with the number of their rows.
    pub ignored: BTreeMap<String, u64>,
}

/// Rows of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    pub taken: u64,
    pub skipped: u64,
    /// How many of those that were taken are superusers, revoked, …
    pub of_them: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Counts a row that was taken.
    pub(super) fn take(&mut self, properties: impl IntoIterator<Item = (bool, &'static str)>) {
        self.taken += 1;
        for (_, name) in properties.into_iter().filter(|(holds, _)| *holds) {
            *self.of_them.entry(name).or_default() += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} taken", self.taken)?;
        for (n, (name, number)) in self.of_them.iter().enumerate() {
            write!(f, "{}{number} {name}", if n == 0 { " (" } else { ", " })?;
        }
        write!(f, "{}, {} skipped", if self.of_them.is_empty() { "" } else { ")" }, self.skipped)
    }
}

/// A row that was skipped, or taken with a difference.
#[derive(Debug)]
pub struct Remark {
    pub kind: RemarkKind,
    /// Model and primary key: `users.customuser 7`.
    pub place: String,
    /// What people know it by. Empty if that is what is missing.
    pub subject: String,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    Skipped,
    Note,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RemarkKind::Skipped => "skipped",
            RemarkKind::Note => "note   ",
        };
        let separator = if self.subject.is_empty() { "" } else { "  " };
        write!(f, "{kind}  {}{separator}{}: {}", shown(&self.place), shown(&self.subject), shown(&self.reason))
    }
}

impl Report {
    pub(super) fn note(&mut self, kind: RemarkKind, place: &str, subject: &str, reason: impl Into<String>) {
        let (place, subject) = (place.to_owned(), subject.to_owned());
        self.remarks.push(Remark { kind, place, subject, reason: reason.into() });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tallies =
            [("users", &self.users), ("keys", &self.keys), ("teams", &self.teams), ("memberships", &self.memberships)];
        for (name, tally) in tallies {
            writeln!(f, "{name:<12}{tally}")?;
        }
        for (model, rows) in &self.ignored {
            writeln!(f, "{:<12}{} ({rows})", "ignored", shown(model))?;
        }
        self.remarks.iter().try_for_each(|remark| writeln!(f, "{remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_is_one_line_for_each_row_and_shows_no_control_character() {
        let mut report = Report::default();
        report.users.take([(true, "superusers"), (false, "disabled")]);
        report.users.skipped = 2;
        report.note(RemarkKind::Skipped, "auth.user 2", "a\nb@example.com", "no such thing");
        report.note(RemarkKind::Note, "auth.user 3", "", "has no email address");
        report.ignored.insert("auth.group".to_owned(), 4);
        let text = report.to_string();
        assert!(
            text.starts_with("users       1 taken (1 superusers), 2 skipped\nkeys        0 taken, 0 skipped\n"),
            "{text}"
        );
        assert!(text.contains("ignored     auth.group (4)\n"), "{text}");
        assert!(text.contains("note     auth.user 3: has no email address\n"), "{text}");
        assert_eq!(text.lines().count(), 7, "{text}");
    }
}
