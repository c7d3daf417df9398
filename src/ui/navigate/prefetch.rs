//! Fetches a page before it is visited: when the pointer rests on its link, or the link is focused or touched.

use std::time::Duration;

use leptos::prelude::set_timeout;
use leptos::task::spawn_local;
use web_sys::Event;

use super::history::remember_place;
use super::target::{target_of, target_url};
use super::{Navigator, navigator};
use crate::ui::browser;

/// How long the pointer rests on a link before its page is fetched.
const HOVER_DELAY: Duration = Duration::from_millis(60);
/// How long fetched data can be used, in milliseconds.
const PREFETCH_TTL: i64 = 5000;

/// The data of a page that was fetched before it is visited.
pub(super) struct Prefetched {
    url: String,
    data: Vec<u8>,
    at: i64,
}

pub(super) fn hover(event: &Event) {
    let (Some(navigator), Some(element)) = (navigator(), target_of(event)) else { return };
    let url = target_url(&element).unwrap_or_default();
    if *navigator.hovered.borrow() == url {
        return;
    }
    navigator.hovered.replace(url.clone());
    if !url.is_empty() {
        set_timeout(
            move || {
                if *navigator.hovered.borrow() == url {
                    prefetch(navigator, url);
                }
            },
            HOVER_DELAY,
        );
    }
}

pub(super) fn prefetch_from(event: &Event) {
    let (Some(navigator), Some(element)) = (navigator(), target_of(event)) else { return };
    if let Some(url) = target_url(&element) {
        navigator.settle_address();
        // The click that follows finds it written.
        remember_place();
        prefetch(navigator, url);
    }
}

fn prefetch(navigator: &'static Navigator, url: String) {
    if navigator.fresh(&url).is_some() || url == *navigator.shown.borrow() {
        return;
    }
    let changes = navigator.changes.get();
    spawn_local(async move {
        if let Ok(Some(data)) = navigator.fetch_page(&url).await
            && navigator.changes.get() == changes
        {
            navigator.prefetched.replace(Some(Prefetched { url, data, at: browser::uptime() }));
        }
    });
}

/// Forgets data that was fetched before a change, also what is still on its way.
pub fn forget_prefetched() {
    if let Some(navigator) = navigator() {
        navigator.changes.set(navigator.changes.get() + 1);
        navigator.prefetched.take();
    }
}

impl Navigator {
    /// Returns the data of a page that was fetched a moment ago.
    pub(super) fn fresh(&self, url: &str) -> Option<Vec<u8>> {
        let prefetched = self.prefetched.borrow();
        let found =
            prefetched.as_ref().filter(|found| found.url == url && browser::uptime() - found.at < PREFETCH_TTL)?;
        Some(found.data.clone())
    }
}
