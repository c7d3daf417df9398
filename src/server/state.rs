//! State that every request can reach.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use leptos::prelude::LeptosOptions;

use super::admission::AdmissionControl;
use super::apis::cache::ApiCache;
use super::auth::login_throttle::LoginThrottle;
use super::auth::password::Passwords;
use super::clock::Clock;
use super::concurrency_limit::OwnerConcurrencyLimit;
use super::config::Config;
use super::db::Db;
use super::denial_log::{DenialLogLimiter, ProxyWarnings};
use super::keys::cache;
use super::keys::cache::KeyCache;
use super::keys::lookup_limit::LookupLimiter;
use super::keys::usage::Usage;
use super::metrics::Metrics;
use super::site::Site;
use crate::model::time::Timestamp;

/// State of the server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Parts>);

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Parts of an [`AppState`].
#[derive(Debug)]
pub struct Parts {
    pub db: Db,
    pub config: Config,
    /// The only source of time.
    pub clock: Clock,
    pub key_cache: KeyCache,
    pub api_cache: ApiCache,
    /// Limits look-ups for addresses that presented many unknown keys.
    pub key_lookups: LookupLimiter,
    /// Counts the use of keys, and limits it.
    pub usage: Usage,
    /// Hashes passwords in a bounded queue.
    pub passwords: Passwords,
    pub login_throttle: LoginThrottle,
    pub denials: DenialLogLimiter,
    pub proxy_warnings: ProxyWarnings,
    pub admission: AdmissionControl,
    pub read_concurrency: OwnerConcurrencyLimit,
    /// Only where `KEYFOB_METRICS_ADDR` is set.
    pub metrics: Option<Metrics>,
    /// Static files of the browser side.
    pub site: Site,
}

impl AppState {
    /// Builds the state. Reads the names of the static files.
    #[must_use]
    pub fn new(db: Db, config: Config, clock: Clock) -> Self {
        Self::with_cache(db, config, clock, KeyCache::new(cache::MAX_BYTES))
    }

    /// Builds the state with another key cache.
    #[must_use]
    pub fn with_cache(db: Db, config: Config, clock: Clock, key_cache: KeyCache) -> Self {
        let site = Site::at(&config.site_root);
        let metrics = config.metrics_addr.map(|_| Metrics::new(clock.now()));
        Self(Arc::new(Parts {
            db,
            config,
            clock,
            key_cache,
            api_cache: ApiCache::default(),
            key_lookups: LookupLimiter::default(),
            usage: Usage::default(),
            passwords: Passwords::default(),
            login_throttle: LoginThrottle::default(),
            denials: DenialLogLimiter::default(),
            proxy_warnings: ProxyWarnings::default(),
            admission: AdmissionControl::default(),
            read_concurrency: OwnerConcurrencyLimit::default(),
            metrics,
            site,
        }))
    }

    /// Returns the current time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        state.site.options.clone()
    }
}
