//! Navigation without loading a document: links and GET forms fetch the data of the next page, and the page that is shown
//! renders it. `leptos_router` is not used: it adds 27 to 37 kB to the download, restores neither scroll nor focus, and would match
//! and guard every page a second time. The server does both, for a document and for the data.
//!
//! The data of a page is never kept in the history, because that outlives a sign-out. Where the data cannot be had, because of a
//! redirect, an error or a server of another version, the browser loads the document.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::js_sys::Uint8Array;
use web_sys::wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Element, Event, FormData, HtmlAnchorElement, HtmlElement, HtmlFormElement, MouseEvent, RequestInit, Response,
    ScrollRestoration, SubmitEvent, Url, UrlSearchParams,
};

use super::browser;
use crate::model::wire;

/// A navigation that takes longer is marked on the page.
const PENDING_AFTER: Duration = Duration::from_millis(150);
/// How long the pointer rests on a link before its page is fetched.
const HOVER_DELAY: Duration = Duration::from_millis(60);
/// The id of the element with the data of the page.
pub const PAGE_DATA_ID: &str = "visit";
/// How long fetched data can be used, in milliseconds.
const PREFETCH_TTL: i64 = 5000;
/// The region in which screen readers announce the page.
pub const ANNOUNCER: &str = "page-announcer";

/// What the application does with a page.
pub struct Hooks {
    /// Renders the data of a page, and returns its title. `None` if a document has to be loaded.
    pub show: Callback<Vec<u8>, Option<String>>,
    /// Shows that the server cannot be reached for an address, or hides it.
    pub set_unreachable: Callback<Option<String>>,
}

struct Navigator {
    version: String,
    hooks: Hooks,
    /// The number of the last navigation. Only the answer to the last one counts.
    latest: Cell<u32>,
    /// Whether the answer to it is awaited.
    is_waiting: Cell<bool>,
    prefetched: RefCell<Option<Prefetched>>,
    /// How many changes were sent. Data that was asked for before the last one is not kept.
    changes: Cell<u32>,
    hovered: RefCell<String>,
    /// Where the page is, without the fragment. The address bar is ahead of it during a step back.
    shown: RefCell<String>,
    /// A selector of the element that had the focus before the page was shown.
    opener: RefCell<String>,
    /// Asks before the page is left by a step in the history.
    blocker: RefCell<Option<Callback<()>>>,
}

struct Prefetched {
    url: String,
    data: Vec<u8>,
    at: i64,
}

thread_local! {
    static NAVIGATOR: OnceCell<&'static Navigator> = const { OnceCell::new() };
}

fn navigator() -> Option<&'static Navigator> {
    NAVIGATOR.with(|cell| cell.get().copied())
}

/// Where a navigation comes from.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A link or a form: a new entry in the history.
    Push,
    /// The response to a change: the page is shown as it is now.
    Replace,
    /// Back or forward.
    Step,
}

/// Starts to handle links, GET forms and the history.
pub fn start(hooks: Hooks) {
    let version = browser::data_of(PAGE_DATA_ID, "data-version");
    let navigator = Navigator {
        version,
        hooks,
        latest: Cell::new(0),
        is_waiting: Cell::new(false),
        prefetched: RefCell::default(),
        changes: Cell::new(0),
        hovered: RefCell::default(),
        shown: RefCell::new(address()),
        opener: RefCell::default(),
        blocker: RefCell::default(),
    };
    let navigator: &'static Navigator = Box::leak(Box::new(navigator));
    if NAVIGATOR.with(|cell| cell.set(navigator)).is_err() {
        return;
    }
    restore_scroll_by(ScrollRestoration::Manual);
    let _ = window_event_listener(ev::click, on_click);
    let _ = window_event_listener(ev::submit, on_submit);
    let _ = window_event_listener(ev::popstate, |_| on_step());
    let _ = window_event_listener(ev::pointerover, |event| hover(&event));
    let _ = window_event_listener(ev::focusin, |event| prefetch_from(&event));
    let _ = window_event_listener(ev::touchstart, |event| prefetch_from(&event));
    // A reload keeps its place as in any document.
    let _ = window_event_listener_untyped("pagehide", |_| restore_scroll_by(ScrollRestoration::Auto));
}

fn restore_scroll_by(how: ScrollRestoration) {
    if let Ok(history) = window().history() {
        let _ = history.set_scroll_restoration(how);
    }
}

/// Path and query of the address bar.
fn address() -> String {
    let location = window().location();
    location.pathname().unwrap_or_default() + &location.search().unwrap_or_default()
}

/// Goes to another page of this site.
pub fn go(url: &str) {
    match navigator() {
        Some(navigator) => navigator.visit(url.to_owned(), Kind::Push),
        None => load(url),
    }
}

/// Shows the page after a change. Where it is the same page, it replaces the entry of the history that has the form open.
pub fn arrive(url: &str) {
    match navigator() {
        Some(navigator) if path_of(url) == path_of(&navigator.shown.borrow()) => {
            navigator.visit(url.to_owned(), Kind::Replace);
        }
        Some(navigator) => navigator.visit(url.to_owned(), Kind::Push),
        None => load(url),
    }
}

/// Loads a document.
pub fn load(url: &str) {
    let _ = window().location().set_href(url);
}

/// Removes the query from the address of the page that is shown.
pub fn drop_query() {
    let Some(navigator) = navigator() else { return };
    let url = path_of(&address()).to_owned();
    replace(&url);
    navigator.shown.replace(url);
}

/// Makes a step back or forward call this instead of leaving the page, until it is called with `None`.
pub fn block(ask: Option<Callback<()>>) {
    if let Some(navigator) = navigator() {
        *navigator.blocker.borrow_mut() = ask;
    }
}

/// Forgets data that was fetched before a change, also what is still on its way.
pub fn forget_prefetched() {
    if let Some(navigator) = navigator() {
        navigator.changes.set(navigator.changes.get() + 1);
        navigator.prefetched.take();
    }
}

/// Returns a selector of the element that led to the page, by a click or a key.
pub fn opener() -> String {
    navigator().map(|navigator| navigator.opener.borrow().clone()).unwrap_or_default()
}

/// The version of the browser's files.
pub fn version() -> Option<&'static str> {
    navigator().map(|navigator| navigator.version.as_str())
}

fn on_click(event: MouseEvent) {
    let modified = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
    if event.default_prevented() || event.button() != 0 || modified {
        return;
    }
    if let Some(url) = target_of(&event).and_then(|element| link_url(&element)) {
        event.prevent_default();
        go(&url);
    }
}

fn on_submit(event: SubmitEvent) {
    if event.default_prevented() {
        return;
    }
    let Some(form) = event.target().and_then(|target| target.dyn_into::<HtmlFormElement>().ok()) else { return };
    if form.method() == "post" {
        super::form::submit(&event, &form);
        return;
    }
    let submitter = event.submitter();
    if let Some(url) = form_url(&form, submitter.as_ref()) {
        event.prevent_default();
        go(&url);
    }
}

fn target_of(event: &Event) -> Option<Element> {
    event.target()?.dyn_into::<Element>().ok()
}

/// The address of the link around an element, if it leads to a page of this site.
fn link_url(element: &Element) -> Option<String> {
    let link: HtmlAnchorElement = element.closest("a[href]").ok()??.dyn_into().ok()?;
    let is_plain = link.target().is_empty() && !link.has_attribute("download") && link.hash().is_empty();
    (is_plain && link.origin() == window().location().origin().ok()?)
        .then(|| link.pathname() + &link.search())
        .filter(|url| is_page(url))
}

/// The address that a GET form leads to.
fn form_url(form: &HtmlFormElement, submitter: Option<&HtmlElement>) -> Option<String> {
    let action = Url::new(&form.action()).ok()?;
    if action.origin() != window().location().origin().ok()? || form.has_attribute("data-document") {
        return None;
    }
    let fields = fields_of(form, submitter)?;
    let url = if fields.is_empty() { action.pathname() } else { action.pathname() + "?" + &fields };
    is_page(&url).then_some(url)
}

/// The fields of a form as the browser sends them.
pub fn fields_of(form: &HtmlFormElement, submitter: Option<&HtmlElement>) -> Option<String> {
    let data = FormData::new_with_form(form).ok()?;
    if let Some(name) = submitter.and_then(|button| button.get_attribute("name")) {
        let value = submitter.and_then(|button| button.get_attribute("value")).unwrap_or_default();
        data.append_with_str(&name, &value).ok()?;
    }
    Some(String::from(UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?.to_string()))
}

/// Whether an address is a page. Files and the API are loaded as documents.
fn is_page(url: &str) -> bool {
    let path = path_of(url);
    !path.starts_with("/api/") && !path.contains('.')
}

fn hover(event: &Event) {
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

fn prefetch_from(event: &Event) {
    let (Some(navigator), Some(element)) = (navigator(), target_of(event)) else { return };
    if let Some(url) = target_url(&element) {
        prefetch(navigator, url);
    }
}

/// The address that a link or the button of a GET form leads to.
fn target_url(element: &Element) -> Option<String> {
    let button = || {
        let button = element.closest("button").ok()??;
        let form: HtmlFormElement = button.closest("form[method=get]").ok()??.dyn_into().ok()?;
        form_url(&form, button.dyn_ref())
    };
    link_url(element).or_else(button)
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

fn on_step() {
    let Some(navigator) = navigator() else { return };
    let ask = *navigator.blocker.borrow();
    if let Some(ask) = ask {
        // The page stays, with its address.
        push(&navigator.shown.borrow());
        ask.run(());
        return;
    }
    if *navigator.shown.borrow() != address() {
        navigator.visit(address(), Kind::Step);
    }
}

/// Reads the body of a response.
pub async fn body_of(response: &Response) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&JsFuture::from(response.array_buffer()?).await?).to_vec())
}

fn push(url: &str) {
    if let Ok(history) = window().history() {
        let _ = history.push_state_with_url(&JsValue::NULL, "", Some(url));
    }
}

fn replace(url: &str) {
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(url));
    }
}

impl Navigator {
    fn fresh(&self, url: &str) -> Option<Vec<u8>> {
        let prefetched = self.prefetched.borrow();
        let found =
            prefetched.as_ref().filter(|found| found.url == url && browser::uptime() - found.at < PREFETCH_TTL)?;
        Some(found.data.clone())
    }

    fn visit(&'static self, url: String, kind: Kind) {
        let number = self.latest.get() + 1;
        self.latest.set(number);
        self.opener.replace(browser::focused_selector());
        if kind != Kind::Step {
            remember_place();
        }
        let prefetched = self.fresh(&url);
        self.prefetched.take();
        self.hooks.set_unreachable.run(None);
        if let Some(data) = prefetched {
            self.arrive(&url, kind, data);
            return;
        }
        self.is_waiting.set(true);
        set_timeout(
            move || {
                if self.latest.get() == number && self.is_waiting.get() {
                    browser::mark_pending(true);
                }
            },
            PENDING_AFTER,
        );
        spawn_local(async move {
            let found = self.fetch_page(&url).await;
            if self.latest.get() != number {
                return;
            }
            self.is_waiting.set(false);
            browser::mark_pending(false);
            match found {
                Ok(Some(data)) => self.arrive(&url, kind, data),
                Ok(None) => load(&url),
                Err(_) => self.hooks.set_unreachable.run(Some(url)),
            }
        });
    }

    /// The data of a page; `None` if the server answers with anything else. Fails if it cannot be reached.
    async fn fetch_page(&self, url: &str) -> Result<Option<Vec<u8>>, JsValue> {
        let init = RequestInit::new();
        let headers = web_sys::Headers::new()?;
        headers.set("accept", wire::MEDIA_TYPE)?;
        headers.set(wire::VERSION_HEADER, &self.version)?;
        init.set_headers(&headers);
        let response: Response = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await?.dyn_into()?;
        let is_data = response.headers().get("content-type")?.is_some_and(|kind| kind == wire::MEDIA_TYPE);
        if !response.ok() || response.redirected() || !is_data {
            return Ok(None);
        }
        body_of(&response).await.map(Some)
    }

    fn arrive(&self, url: &str, kind: Kind, data: Vec<u8>) {
        let had_dialog = browser::has_dialog();
        let same_path = path_of(url) == path_of(&self.shown.borrow());
        let Some(title) = self.hooks.show.run(data) else { return load(url) };
        let url = &without_notice(url);
        match kind {
            Kind::Push => push(url),
            Kind::Replace => replace(url),
            Kind::Step => {}
        }
        self.shown.replace(address());
        document().set_title(&title);
        // After the effects, which open dialogs.
        request_animation_frame(move || {
            if kind == Kind::Step {
                restore_place();
            } else if !same_path || (kind == Kind::Push && !had_dialog && !browser::has_dialog()) {
                browser::focus_heading();
                window().scroll_to_with_x_and_y(0.0, 0.0);
            }
            if !same_path {
                browser::set_text(ANNOUNCER, &title);
            }
        });
    }
}

/// Returns the address without the message about the last action, which a reload would repeat.
fn without_notice(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let is_kept = |field: &&str| !["done=", "n=", "new="].iter().any(|notice| field.starts_with(notice));
    let kept: Vec<_> = query.split('&').filter(is_kept).collect();
    if kept.concat().is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

fn path_of(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// Keeps scroll and focus in the entry that is left.
fn remember_place() {
    let Ok(history) = window().history() else { return };
    let place = format!("{}~{}", browser::scroll_y(), browser::focused_selector());
    let _ = history.replace_state_with_url(&JsValue::from_str(&place), "", None);
}

/// Restores scroll and focus of the entry that is shown again.
fn restore_place() {
    let state = window().history().and_then(|history| history.state()).ok().and_then(|state| state.as_string());
    let state = state.unwrap_or_default();
    let (y, selector) = state.split_once('~').unwrap_or_default();
    if !browser::has_dialog() && !browser::focus_selector(selector) {
        browser::focus_heading();
    }
    window().scroll_to_with_x_and_y(0.0, y.parse::<i32>().unwrap_or(0).into());
}
