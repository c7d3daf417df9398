//! What every request can reach.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use leptos::prelude::LeptosOptions;

use super::admission::AdmissionControl;
use super::auth::login_throttle::LoginThrottle;
use super::auth::password::Passwords;
use super::clock::Clock;
use super::concurrency_limit::OwnerConcurrencyLimit;
use super::config::Config;
use super::db::Db;
use super::denial_log::{DenialLogLimiter, ProxyWarnings};
use super::keys::cache;
use super::keys::cache::KeyCache;
use super::keys::lookup_limit::Lookups;
use super::keys::usage::Usage;
use super::site::Site;
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
    pub login_throttle: LoginThrottle,
    /// What of refusals is in the log.
    pub denials: DenialLogLimiter,
    /// What of strange addresses is in the log.
    pub proxy_warnings: ProxyWarnings,
    /// What the server carries just now.
    pub admission: AdmissionControl,
    /// Whose long reads run just now.
    pub read_concurrency: OwnerConcurrencyLimit,
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
            passwords: Passwords::default(),
            login_throttle: LoginThrottle::default(),
            denials: DenialLogLimiter::default(),
            proxy_warnings: ProxyWarnings::default(),
            admission: AdmissionControl::default(),
            read_concurrency: OwnerConcurrencyLimit::default(),
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
