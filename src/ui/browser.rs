//! All calls of `web_sys`. Only event handlers and effects may call them, because the server runs neither.

use leptos::prelude::{document, window};
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlElement, HtmlFormElement, HtmlInputElement};

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

/// Returns the first control of an open dialog, if no element has the focus.
pub fn first_in_dialog() -> Option<HtmlElement> {
    let first = "dialog[open] :is(input:not([type='hidden']), select, button)";
    let found = document().query_selector(first).ok().flatten().filter(|_| focused().is_none());
    found.and_then(|element| element.dyn_into().ok())
}

/// Focuses an element, or the one with the id if it is gone.
pub fn give_focus(element: Option<HtmlElement>, otherwise: &str) {
    let other = || document().get_element_by_id(otherwise).and_then(|element| element.dyn_into().ok());
    if let Some(element) = element.filter(|element| element.is_connected()).or_else(other) {
        let _ = element.focus();
    }
}

/// Focuses the first invalid field.
pub fn focus_invalid() {
    let invalid = document().query_selector("[aria-invalid='true']").ok().flatten();
    if let Some(element) = invalid.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// Goes to another page of this site.
pub fn go(path: &str) {
    let _ = window().location().set_href(path);
}

/// Returns the text of an element.
pub fn text_of(id: &str) -> Option<String> {
    document().get_element_by_id(id)?.text_content()
}

/// Returns the value of a field.
pub fn value_of(id: &str) -> String {
    let field = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlInputElement>().ok());
    field.map(|field| field.value()).unwrap_or_default()
}

/// Clears the fields of a form.
pub fn reset_form(id: &str) {
    let form = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlFormElement>().ok());
    if let Some(form) = form {
        form.reset();
    }
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
pub fn select(input: &HtmlInputElement) {
    let _ = input.focus();
    input.select();
}
