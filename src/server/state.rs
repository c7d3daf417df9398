//! What every request can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::FromRef;
use leptos::prelude::LeptosOptions;

use super::auth::password::Passwords;
use super::auth::throttle::Throttle;
use super::config::Config;
use super::db::Db;
use super::keys::cache::{self, KeyCache};
use super::keys::lookups::Lookups;
use super::load::Load;
use super::log::{Doubts, Refusals};
use super::site::Site;
use super::turns::Turns;
use super::usage::Usage;
use crate::model::time::Timestamp;

/// The state of the server. Cheap to clone: every layer of every request does.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Parts>);

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What an [`AppState`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// The settings.
    pub config: Config,
    /// The clock: time comes from here and nowhere else.
    pub clock: Clock,
    /// What keys may do, as looked up lately.
    pub key_cache: KeyCache,
    /// Look-ups of keys for addresses that presented many unknown ones.
    pub key_lookups: Lookups,
    /// How keys are used, and what limits have been spent.
    pub usage: Usage,
    /// The hasher of passwords, with its queue.
    pub passwords: Passwords,
    /// What addresses have tried.
    pub throttle: Throttle,
    /// What of refusals is in the log.
    pub refusals: Refusals,
    /// What of strange addresses is in the log.
    pub doubts: Doubts,
    /// What the server carries just now.
    pub load: Load,
    /// Whose long reads run just now.
    pub turns: Turns,
    /// Where the browser's files are.
    pub site: Site,
}

impl AppState {
    /// Puts the state together. Reads the names of the browser's files.
    #[must_use]
    pub fn new(db: Db, config: Config, clock: Clock) -> Self {
        Self::with_cache(db, config, clock, KeyCache::new(cache::BYTES))
    }

    /// The same with another memory for keys.
    #[must_use]
    pub fn with_cache(db: Db, config: Config, clock: Clock, key_cache: KeyCache) -> Self {
        let site = Site::at(&config.site_root);
        Self(Arc::new(Parts {
            db,
            config,
            clock,
            key_cache,
            key_lookups: Lookups::default(),
            usage: Usage::default(),
            passwords: Passwords::new(),
            throttle: Throttle::default(),
            refusals: Refusals::default(),
            doubts: Doubts::default(),
            load: Load::default(),
            turns: Turns::default(),
            site,
        }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.site.options.clone()
    }
}

/// Tells the time: the system's, or one that a test moves.
#[derive(Clone, Debug)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::advance`].
    #[must_use]
    pub fn standing(at: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.as_millis()))))
    }

    /// Moves a standing clock; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Some(millis) = &self.0 {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Sets a standing clock, also back; does nothing to the system's.
    pub fn set(&self, at: Timestamp) {
        if let Some(millis) = &self.0 {
            millis.store(at.as_millis(), Ordering::SeqCst);
        }
    }

    /// The time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn now(&self) -> Timestamp {
        let millis = match &self.0 {
            Some(millis) => millis.load(Ordering::SeqCst),
            None => {
                SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
        };
        Timestamp::from_millis(millis)
    }
}

/// Measures how much time has passed, whatever the clock of the tests says.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since then.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
