//! Instants in the reader's time zone, with UTC in the title. Before the program runs, and without JavaScript, they are in UTC, as
//! the server renders them.

use std::time::Duration;

use leptos::prelude::*;

use super::browser;
use crate::model::time::Timestamp;

/// How often relative times are updated.
const TICK: Duration = Duration::from_secs(30);

/// The clock of the reader. Components take it from the context.
#[derive(Clone, Copy)]
pub struct ReaderClock {
    /// Milliseconds since the program started. `None` until it runs.
    uptime: RwSignal<Option<i64>>,
}

impl ReaderClock {
    /// Starts the clock, once for all pages.
    pub fn provide() {
        let uptime = RwSignal::new(None);
        provide_context(Self { uptime });
        Effect::new(move |_| {
            let started = browser::uptime();
            uptime.set(Some(0));
            let _ = set_interval_with_handle(move || uptime.set(Some(browser::uptime() - started)), TICK);
        });
    }

    pub fn from_context() -> Self {
        use_context().unwrap_or_else(|| Self { uptime: RwSignal::new(None) })
    }

    /// Formats an instant to the minute: `21 Feb 2027, 15:05`, and with `UTC` before the program runs.
    pub fn minute(self, at: Timestamp) -> String {
        self.format(at, Timestamp::minute, Timestamp::date_time)
    }

    fn format(self, at: Timestamp, utc: fn(Timestamp) -> String, local: fn(Timestamp) -> String) -> String {
        if self.uptime.with(Option::is_some) { local(at.plus(-browser::utc_offset(at.as_millis()))) } else { utc(at) }
    }
}

/// How an instant is shown.
#[derive(Clone, Copy)]
pub enum Format {
    Minute,
    Day,
    /// The age at the time by which the page was rendered, plus the time since then: `5 minutes ago`.
    Ago {
        now: Timestamp,
    },
}

/// An instant.
#[component]
pub fn Time(at: Timestamp, #[prop(default = Format::Minute)] format: Format) -> impl IntoView {
    let clock = ReaderClock::from_context();
    let rendered = clock.uptime.get_untracked().unwrap_or(0);
    let text = move || match format {
        Format::Minute => clock.minute(at),
        Format::Day => clock.format(at, Timestamp::day, Timestamp::day),
        Format::Ago { now } => at.ago(now.plus(clock.uptime.get().unwrap_or(0) - rendered)),
    };
    view! { <time datetime=at.rfc3339() title=at.minute()>{text}</time> }
}
