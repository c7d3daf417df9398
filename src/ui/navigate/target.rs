//! Where links and GET forms lead.

use leptos::prelude::window;
use web_sys::wasm_bindgen::JsCast;
use web_sys::{Element, Event, FormData, HtmlAnchorElement, HtmlElement, HtmlFormElement, Url, UrlSearchParams};

use super::history::path_of;

pub(super) fn target_of(event: &Event) -> Option<Element> {
    event.target()?.dyn_into::<Element>().ok()
}

/// The address of the link around an element, if it leads to a page of this site.
pub(super) fn link_url(element: &Element) -> Option<String> {
    let link: HtmlAnchorElement = element.closest("a[href]").ok()??.dyn_into().ok()?;
    let is_plain = link.target().is_empty() && !link.has_attribute("download") && link.hash().is_empty();
    (is_plain && link.origin() == window().location().origin().ok()?)
        .then(|| link.pathname() + &link.search())
        .filter(|url| is_page(url))
}

/// The address that a GET form leads to.
pub(super) fn form_url(form: &HtmlFormElement, submitter: Option<&HtmlElement>) -> Option<String> {
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

/// Whether an address is a page. Files, the API and the documentation are loaded as documents.
pub(super) fn is_page(url: &str) -> bool {
    let path = path_of(url);
    path == "/docs/errors" || !(path.starts_with("/api/") || path.starts_with("/docs") || path.contains('.'))
}

/// The address that a link or the button of a GET form leads to.
pub(super) fn target_url(element: &Element) -> Option<String> {
    let button = || {
        let button = element.closest("button").ok()??;
        let form: HtmlFormElement = button.closest("form[method=get]").ok()??.dyn_into().ok()?;
        form_url(&form, button.dyn_ref())
    };
    link_url(element).or_else(button)
}
