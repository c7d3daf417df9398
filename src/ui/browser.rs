//! All calls of `web_sys`. Only event handlers and effects may call them, because the server runs neither.

use leptos::prelude::{document, window};
use web_sys::js_sys::Date;
use web_sys::wasm_bindgen::{JsCast, JsValue};
use web_sys::{FocusOptions, HtmlDialogElement, HtmlElement, HtmlTextAreaElement};

/// Marks that the program runs. The style sheet hides elements that need it. A browser with JavaScript may lack WebAssembly.
pub fn mark_running() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-running", "");
    }
}

/// Opens a dialog as a modal, including one that the server rendered open.
pub fn show_modal(dialog: &HtmlDialogElement) {
    if dialog.open() {
        dialog.close();
    }
    // Without this, a second Escape closes any dialog in Chromium.
    let _ = dialog.set_attribute("closedby", "none");
    let _ = dialog.show_modal();
}

/// Whether no other dialog is open above this one. The topmost is the last in the document.
pub fn is_on_top(dialog: &HtmlDialogElement) -> bool {
    let open = document().query_selector_all("dialog[open]").ok();
    let last = open.and_then(|open| open.item(open.length().checked_sub(1)?));
    last.is_some_and(|last| dialog.is_same_node(Some(&last)))
}

/// Returns the focused element, except for the page itself.
pub fn focused() -> Option<HtmlElement> {
    let element = document().active_element().filter(|element| element.tag_name() != "BODY");
    element.and_then(|element| element.dyn_into().ok())
}

/// Moves the focus after a dialog closed: to what opened it, into the dialog below, or to the element with the id.
pub fn focus_after_dialog(opener: &str, otherwise: &str) {
    let in_dialog = "dialog[open] :is(input:not([type='hidden']), select, button)";
    match (has_dialog(), focused()) {
        (true, Some(_)) => {}
        (true, None) => {
            focus_selector(in_dialog);
        }
        (false, _) if focus_selector(opener) => {}
        (false, _) => focus_id(otherwise),
    }
}

/// Focuses the element with the id.
pub fn focus_id(id: &str) {
    focus_selector(&format!("[id=\"{id}\"]"));
}

/// Focuses the first invalid field.
pub fn focus_invalid() {
    let invalid = document().query_selector("[aria-invalid='true']").ok().flatten();
    if let Some(element) = invalid.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// Marks that a page is on its way.
pub fn mark_pending(pending: bool) {
    if let Some(root) = document().document_element() {
        let _ = root.toggle_attribute_with_force("data-pending", pending);
    }
}

/// Sets the theme of the document; none follows the system.
pub fn set_theme(theme: Option<&str>) {
    if let Some(root) = document().document_element() {
        let _ = match theme {
            Some(theme) => root.set_attribute("data-theme", theme),
            None => root.remove_attribute("data-theme"),
        };
    }
}

/// Whether a dialog is open.
pub fn has_dialog() -> bool {
    document().query_selector("dialog[open]").is_ok_and(|found| found.is_some())
}

/// Focuses the heading of the page.
pub fn focus_heading() {
    let heading = document().query_selector("#content h1").ok().flatten();
    if let Some(heading) = heading.and_then(|heading| heading.dyn_into::<HtmlElement>().ok()) {
        heading.set_tab_index(-1);
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        let _ = heading.focus_with_options(&options);
    }
}

/// Returns a selector of the focused element: by its id, or by where it leads to.
pub fn focused_selector() -> String {
    let Some(element) = focused() else { return String::new() };
    let quoted = |text: String| text.replace('\\', "\\\\").replace('"', "\\\"");
    match (element.id(), element.get_attribute("href")) {
        (id, _) if !id.is_empty() => format!("[id=\"{}\"]", quoted(id)),
        (_, Some(href)) => format!("a[href=\"{}\"]", quoted(href)),
        _ => String::new(),
    }
}

/// Focuses the element with the selector. Returns whether there is one.
pub fn focus_selector(selector: &str) -> bool {
    if selector.is_empty() {
        return false;
    }
    let found = document().query_selector(selector).ok().flatten();
    let found = found.and_then(|element| element.dyn_into::<HtmlElement>().ok());
    found.is_some_and(|element| element.focus().is_ok())
}

/// Replaces the text of an element.
pub fn set_text(id: &str, text: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        element.set_text_content(Some(text));
    }
}

/// Returns the text of an element.
pub fn text_of(id: &str) -> Option<String> {
    document().get_element_by_id(id)?.text_content()
}

/// Returns an attribute of an element, or an empty text.
pub fn data_of(id: &str, attribute: &str) -> String {
    document().get_element_by_id(id).and_then(|element| element.get_attribute(attribute)).unwrap_or_default()
}

/// Returns how far the page is scrolled, in pixels.
#[expect(clippy::cast_possible_truncation, reason = "no page is that high")]
pub fn scroll_y() -> i32 {
    window().scroll_y().unwrap_or(0.0) as i32
}

/// Returns how long the document has been open, in milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "a document is not open for that long")]
pub fn uptime() -> i64 {
    window().performance().map_or(0.0, |performance| performance.now()) as i64
}

/// Returns how far UTC is ahead of the reader's time zone at an instant, in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "instants until the year 9999 are exact"
)]
pub fn utc_offset(millis: i64) -> i64 {
    Date::new(&JsValue::from_f64(millis as f64)).get_timezone_offset() as i64 * 60_000
}

/// Copies text to the clipboard. Returns whether the browser allowed it.
pub async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Over plain http on another host there is no clipboard, although the type says so.
    if clipboard.is_undefined() {
        return false;
    }
    wasm_bindgen_futures::JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// Selects the value of a field, so that the reader can copy it.
pub fn select(field: &HtmlTextAreaElement) {
    let _ = field.focus();
    field.select();
}
