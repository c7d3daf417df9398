//! Instants, in the formats of the database, the wire and people.

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

/// One day in milliseconds.
pub const DAY: i64 = 24 * 60 * 60 * 1000;

/// Formats a waiting time for people, rounded up: `40 seconds`, `8 minutes`.
pub fn wait(seconds: u32) -> String {
    let (n, unit) = if seconds < 120 { (seconds, "second") } else { (seconds.div_ceil(60), "minute") };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

/// An instant: Unix time in milliseconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Adds milliseconds, which can be negative.
    #[must_use]
    pub const fn plus(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns the first instant of a day in UTC: `2027-02-21`. `None` for text that is no day of the years 1970 to 9999.
    pub fn start_of_day(day: &str) -> Option<Self> {
        Self::end_of_day(day).map(|end| end.plus(1000 - DAY))
    }

    /// Returns the last second of a day in UTC: `2027-02-21`. `None` for text that is no day of the years 1970 to 9999.
    pub fn end_of_day(day: &str) -> Option<Self> {
        let (year, rest) = day.trim().split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
        let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
        if !(1970..=9999).contains(&date.year()) {
            return None;
        }
        Some(Self(date.midnight().assume_utc().unix_timestamp() * 1000 + DAY - 1000))
    }

    /// Formats as RFC 3339 in UTC, to the millisecond: `2027-02-21T14:05:00.000Z`.
    pub fn rfc3339(self) -> String {
        self.rfc3339_ascii().map(char::from).iter().collect()
    }

    /// Formats as [`Timestamp::rfc3339`] without an allocation, for hot paths.
    pub fn rfc3339_ascii(self) -> [u8; 24] {
        let at = self.utc();
        let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.to_hms());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut write = |end: usize, len: usize, mut number: u32| {
            for digit in text[end - len..end].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        write(4, 4, year.unsigned_abs());
        write(7, 2, u8::from(month).into());
        write(10, 2, day.into());
        write(13, 2, hour.into());
        write(16, 2, minute.into());
        write(19, 2, second.into());
        write(23, 3, at.millisecond().into());
        text
    }

    /// Returns the day in the format of date fields: `2027-02-21`.
    pub fn iso_date(self) -> String {
        let (year, month, day) = self.utc().to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    /// Returns the day for people: `21 Feb 2027`.
    pub fn day(self) -> String {
        let (year, month, day) = self.utc().to_calendar_date();
        let name = match month {
            Month::January => "Jan",
            Month::February => "Feb",
            Month::March => "Mar",
            Month::April => "Apr",
            Month::May => "May",
            Month::June => "Jun",
            Month::July => "Jul",
            Month::August => "Aug",
            Month::September => "Sep",
            Month::October => "Oct",
            Month::November => "Nov",
            Month::December => "Dec",
        };
        format!("{day} {name} {year}")
    }

    /// Returns the age at `now` for people: `5 minutes ago`.
    pub fn ago(self, now: Self) -> String {
        let minutes = now.0.saturating_sub(self.0) / 60_000;
        let (n, unit) = match minutes {
            ..1 => return "just now".to_owned(),
            1..60 => (minutes, "minute"),
            60..1440 => (minutes / 60, "hour"),
            _ => (minutes / 1440, "day"),
        };
        format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
    }

    /// Returns the minute for people, without the time zone: `21 Feb 2027, 14:05`.
    pub fn date_time(self) -> String {
        let (hour, minute, _) = self.utc().to_hms();
        format!("{}, {hour:02}:{minute:02}", self.day())
    }

    /// Returns the minute for people: `21 Feb 2027, 14:05 UTC`.
    pub fn minute(self) -> String {
        self.date_time() + " UTC"
    }

    fn utc(self) -> OffsetDateTime {
        let second = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let milli = u16::try_from(self.0.rem_euclid(1000)).unwrap_or(0);
        second.replace_millisecond(milli).unwrap_or(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc() {
        let at = Timestamp::from_millis(1_803_218_700_007);
        assert_eq!(at.rfc3339(), "2027-02-21T14:05:00.007Z");
        assert_eq!(at.minute(), "21 Feb 2027, 14:05 UTC");
        assert_eq!(at.iso_date(), "2027-02-21");
    }

    #[test]
    fn how_long_ago_is_told_in_the_largest_unit_that_fits() {
        let now = Timestamp::from_millis(1_803_218_700_000);
        for (minutes, words) in [
            (0, "just now"),
            (-5, "just now"),
            (1, "1 minute ago"),
            (59, "59 minutes ago"),
            (60, "1 hour ago"),
            (1439, "23 hours ago"),
            (1440, "1 day ago"),
            (14400, "10 days ago"),
        ] {
            assert_eq!(now.plus(-minutes * 60_000).ago(now), words);
        }
    }

    #[test]
    fn how_long_to_wait_is_told_in_seconds_and_from_two_minutes_on_in_minutes() {
        for (seconds, words) in [
            (1, "1 second"),
            (2, "2 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (121, "3 minutes"),
            (900, "15 minutes"),
        ] {
            assert_eq!(wait(seconds), words);
        }
    }

    #[test]
    fn a_day_ends_in_its_last_second() {
        assert_eq!(Timestamp::end_of_day("2028-02-29").unwrap().rfc3339(), "2028-02-29T23:59:59.000Z");
    }

    #[test]
    fn what_is_no_day_is_none() {
        for junk in ["", "2027", "2027-02-30", "2027-13-01", "-1-01-01", "99999-01-01", "2027-02-21T00:00", "a-b-c"] {
            assert_eq!(Timestamp::end_of_day(junk), None, "{junk}");
        }
    }

    #[test]
    fn an_instant_outside_the_calendar_is_written_without_a_panic() {
        assert_eq!(Timestamp::from_millis(i64::MAX).iso_date(), "1970-01-01");
    }
}
