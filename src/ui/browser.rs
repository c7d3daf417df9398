//! The only calls of `web_sys`. They are made from event handlers and effects only, so never on the server.

use leptos::prelude::{document, window};
use web_sys::wasm_bindgen::JsCast;
use web_sys::{HtmlDialogElement, HtmlElement, HtmlFormElement, HtmlInputElement};

/// Says in the page that the program runs in it. Style sheets hide what needs the program by this: that scripts are
/// allowed does not mean that WebAssembly is.
pub fn mark_running() {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-running", "");
    }
}

/// Opens a dialog over the page, also one that the server rendered open for browsers without JavaScript.
pub fn show_modal(dialog: &HtmlDialogElement) {
    if dialog.open() {
        dialog.close();
    }
    // Chromium lets a second Escape close any dialog but one that says that nothing closes it.
    let _ = dialog.set_attribute("closedby", "none");
    let _ = dialog.show_modal();
}

/// Whether no other dialog is open over this one: the one above stands later in the page.
#[must_use]
pub fn is_on_top(dialog: &HtmlDialogElement) -> bool {
    let open = document().query_selector_all("dialog[open]").ok();
    let last = open.and_then(|open| open.item(open.length().checked_sub(1)?));
    last.is_some_and(|last| dialog.is_same_node(Some(&last)))
}

/// The element that has the focus, if any but the page itself.
#[must_use]
pub fn focused() -> Option<HtmlElement> {
    let element = document().active_element().filter(|element| element.tag_name() != "BODY");
    element.and_then(|element| element.dyn_into().ok())
}

/// Where nothing has the focus, what gets it in a dialog that is open: what stands first.
#[must_use]
pub fn first_in_dialog() -> Option<HtmlElement> {
    let first = "dialog[open] :is(input:not([type='hidden']), select, button)";
    let found = document().query_selector(first).ok().flatten().filter(|_| focused().is_none());
    found.and_then(|element| element.dyn_into().ok())
}

/// Gives the focus back to an element; to the one with the id where that is gone.
pub fn give_focus(element: Option<HtmlElement>, otherwise: &str) {
    let other = || document().get_element_by_id(otherwise).and_then(|element| element.dyn_into().ok());
    if let Some(element) = element.filter(|element| element.is_connected()).or_else(other) {
        let _ = element.focus();
    }
}

/// Moves the focus to the first field that is marked invalid.
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

/// The text of an element of the page.
#[must_use]
pub fn text_of(id: &str) -> Option<String> {
    document().get_element_by_id(id)?.text_content()
}

/// What stands in a field.
#[must_use]
pub fn value_of(id: &str) -> String {
    let field = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlInputElement>().ok());
    field.map(|field| field.value()).unwrap_or_default()
}

/// Empties the fields of a form.
pub fn reset_form(id: &str) {
    let form = document().get_element_by_id(id).and_then(|element| element.dyn_into::<HtmlFormElement>().ok());
    if let Some(form) = form {
        form.reset();
    }
}

/// Puts a text on the clipboard. False where the browser does not let pages do that.
pub async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Over plain http on another host than this machine there is no clipboard, whatever the types say.
    if clipboard.is_undefined() {
        return false;
    }
    wasm_bindgen_futures::JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// Selects what stands in a field, ready to be copied by hand.
pub fn select(input: &HtmlInputElement) {
    let _ = input.focus();
    input.select();
}
