//! Navigation without loading a document: links and GET forms fetch the data of the next page, and the page that is shown
//! renders it. `leptos_router` is not used: it adds 27 to 37 kB to the download, restores neither scroll nor focus, and would match
//! and guard every page a second time. The server does both, for a document and for the data.
//!
//! The data of a page is never kept in the history, because that outlives a sign-out. Where the data cannot be had, because of a
//! redirect, an error or a server of another version, the browser loads the document.

mod history;
mod prefetch;
mod target;

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;
use web_sys::js_sys::Uint8Array;
use web_sys::wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlFormElement, MouseEvent, RequestInit, Response, ScrollRestoration, SubmitEvent};

use self::history::{
    address, path_of, push, remember_place, replace, restore_place, restore_scroll_by, without_notice,
};
pub use self::prefetch::forget_prefetched;
use self::prefetch::{Prefetched, hover, prefetch_from};
pub use self::target::fields_of;
use self::target::{form_url, link_url, target_of};
use super::browser;
use crate::model::wire;

/// A navigation that takes longer is marked on the page.
const PENDING_AFTER: Duration = Duration::from_millis(150);
/// The id of the element with the data of the page.
pub const PAGE_DATA_ID: &str = "visit";
/// The region in which screen readers announce the page.
pub const ANNOUNCER: &str = "page-announcer";

/// What the application does with a page.
pub struct Hooks {
    /// Renders the data of a page, and returns its title. `None` if a document has to be loaded.
    pub show: Callback<Vec<u8>, Option<String>>,
    /// Hides the error of a form, because another page is shown.
    pub clear_error: Callback<()>,
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
    /// How many changes were sent. Data that was asked for before the last one is not kept, and hides no error of it.
    changes: Cell<u32>,
    hovered: RefCell<String>,
    /// Where the page is, without the fragment. The address bar is ahead of it during a step back.
    shown: RefCell<String>,
    /// A selector of the element that had the focus before the page was shown.
    opener: RefCell<String>,
    /// The address of the page that is shown, until it is in the history.
    pending_address: RefCell<Option<String>>,
    /// Whether a page that was clicked is not painted yet.
    is_arriving: Cell<bool>,
    /// What waits until it is.
    after_paint: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// Asks before the page is left by a step in the history.
    blocker: RefCell<Option<Callback<()>>>,
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
        pending_address: RefCell::default(),
        is_arriving: Cell::new(false),
        after_paint: RefCell::default(),
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
    let _ = window_event_listener_untyped("pagehide", |_| {
        settle();
        restore_scroll_by(ScrollRestoration::Auto);
    });
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
    settle();
    let _ = window().location().set_href(url);
}

fn settle() {
    if let Some(navigator) = navigator() {
        navigator.settle_address();
    }
}

/// Removes the query from the address of the page that is shown.
pub fn drop_query() {
    let Some(navigator) = navigator() else { return };
    navigator.settle_address();
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

/// Returns a selector of the element that led to the page, by a click or a key.
pub fn opener() -> String {
    navigator().map(|navigator| navigator.opener.borrow().clone()).unwrap_or_default()
}

/// Returns `true` and keeps `run` until the page that was clicked is painted, or returns `false` if there is nothing to wait for.
pub fn after_paint(run: impl FnOnce() + 'static) -> bool {
    let Some(navigator) = navigator().filter(|navigator| navigator.is_arriving.get()) else { return false };
    navigator.after_paint.borrow_mut().push(Box::new(run));
    true
}

/// The version of the browser's files.
pub fn version() -> Option<&'static str> {
    navigator().map(|navigator| navigator.version.as_str())
}

/// Runs something with the next frame, or at once in the background, where no frame comes.
fn in_next_frame(run: impl FnOnce() + 'static) {
    if document().hidden() {
        run();
    } else {
        request_animation_frame(run);
    }
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

fn on_step() {
    let Some(navigator) = navigator() else { return };
    // A step right after a click goes on from the page before it.
    navigator.pending_address.take();
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

impl Navigator {
    fn visit(&'static self, url: String, kind: Kind) {
        let number = self.latest.get() + 1;
        self.latest.set(number);
        self.opener.replace(browser::focused_selector());
        if kind != Kind::Step {
            self.settle_address();
            remember_place();
        }
        let changes = self.changes.get();
        let prefetched = self.fresh(&url);
        self.prefetched.take();
        self.hooks.set_unreachable.run(None);
        if let Some(data) = prefetched {
            self.arrive(&url, kind, data, changes);
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
                Ok(Some(data)) => self.arrive(&url, kind, data, changes),
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

    /// Shows a page. `changes` is the number of changes that had been sent when it was asked for.
    fn arrive(&'static self, url: &str, kind: Kind, data: Vec<u8>, changes: u32) {
        let had_dialog = browser::has_dialog();
        let same_path = path_of(url) == path_of(&self.shown.borrow());
        // A page in the background is not painted, and a step back restores the scroll position of the whole page.
        self.is_arriving.set(kind == Kind::Push && !same_path && !document().hidden());
        if self.changes.get() == changes {
            self.hooks.clear_error.run(());
        }
        let Some(title) = self.hooks.show.run(data) else { return load(url) };
        let url = &without_notice(url);
        match kind {
            Kind::Push => {
                self.pending_address.replace(Some(url.clone()));
                self.shown.replace(url.clone());
            }
            Kind::Replace => {
                replace(url);
                self.shown.replace(address());
            }
            Kind::Step => {
                self.shown.replace(address());
            }
        }
        // After the effects, which open dialogs.
        let paint = move || {
            let is_new_place = !same_path || (kind == Kind::Push && !had_dialog && !browser::has_dialog());
            match kind {
                Kind::Step => restore_place(),
                _ if is_new_place => {
                    // A dialog that closes returns the focus in this frame, too.
                    if same_path {
                        browser::focus_heading();
                    }
                    window().scroll_to_with_x_and_y(0.0, 0.0);
                }
                _ => {}
            }
            let is_new_page = !same_path && kind != Kind::Step;
            in_next_frame(move || self.finish(&title, same_path, is_new_page));
        };
        in_next_frame(paint);
    }

    /// Does what the reader need not wait for: an entry in the history alone takes as long as half of the page. Not in a timer of the
    /// first frame, because timers go before the tasks of the browser that wait for the paint.
    fn finish(&self, title: &str, same_path: bool, is_new_page: bool) {
        self.is_arriving.set(false);
        self.settle_address();
        document().set_title(title);
        if is_new_page {
            browser::focus_heading();
        }
        if !same_path {
            browser::set_text(ANNOUNCER, title);
        }
        self.after_paint.take().into_iter().for_each(|run| run());
    }

    /// Writes the address of the page that is shown into the history, if that was not done yet.
    fn settle_address(&self) {
        if let Some(url) = self.pending_address.take() {
            push(&url);
            self.shown.replace(address());
        }
    }
}
