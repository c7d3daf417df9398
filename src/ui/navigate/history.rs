//! The history of the browser: addresses, and the scroll and focus of each entry.

use leptos::prelude::window;
use web_sys::ScrollRestoration;
use web_sys::wasm_bindgen::JsValue;

use crate::ui::browser;

/// The place in an entry that has none: at the top, without focus.
const TOP: &str = "0~";

pub(super) fn restore_scroll_by(how: ScrollRestoration) {
    if let Ok(history) = window().history() {
        let _ = history.set_scroll_restoration(how);
    }
}

/// Path and query of the address bar.
pub(super) fn address() -> String {
    let location = window().location();
    location.pathname().unwrap_or_default() + &location.search().unwrap_or_default()
}

pub(super) fn push(url: &str) {
    if let Ok(history) = window().history() {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(url));
    }
}

pub(super) fn replace(url: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(url));
    }
}

/// Returns the address without the message about the last action, which a reload would repeat.
pub(super) fn without_notice(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let is_kept = |field: &&str| !["done=", "n=", "new="].iter().any(|notice| field.starts_with(notice));
    let kept: Vec<_> = query.split('&').filter(is_kept).collect();
    if kept.concat().is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

pub(super) fn path_of(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// Keeps scroll and focus in the entry that is left. Writing an entry takes milliseconds, reading it does not.
pub(super) fn remember_place() {
    let Ok(history) = window().history() else { return };
    let place = format!("{}~{}", browser::scroll_y(), browser::focused_selector());
    let kept = history.state().ok().and_then(|state| state.as_string());
    if kept.as_deref().unwrap_or(TOP) == place {
        return;
    }
    let _ = history.replace_state_with_url(&JsValue::from_str(&place), "", None);
}

/// Restores scroll and focus of the entry that is shown again.
pub(super) fn restore_place() {
    let state = window().history().and_then(|history| history.state()).ok().and_then(|state| state.as_string());
    let state = state.unwrap_or_default();
    let (y, selector) = state.split_once('~').unwrap_or_default();
    if !browser::has_dialog() && !browser::focus_selector(selector) {
        browser::focus_heading();
    }
    window().scroll_to_with_x_and_y(0.0, y.parse::<i32>().unwrap_or(0).into());
}
