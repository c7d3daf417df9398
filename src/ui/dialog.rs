//! Dialogs with the native `<dialog>` element. The URL selects the dialog that is rendered, so it works without JavaScript. With
//! JavaScript it opens as a modal.

use leptos::ev::SubmitEvent;
use leptos::html;
use leptos::prelude::*;

use super::field::Hidden;
use super::{browser, navigate};
use crate::model::link::{Parameters, link_to};

/// Returns what closes a dialog: the page below it is shown, with the parameters `kept`.
pub fn close_to(path: &str, kept: &[(&'static str, String)]) -> Callback<()> {
    let page = link_to(path, kept);
    Callback::new(move |()| navigate::go(&page))
}

/// A dialog that is open while it is rendered. Escape calls `on_dismiss`.
#[component]
pub fn Dialog(
    id: &'static str,
    #[prop(into)] title: String,
    /// Whether it confirms something that cannot be undone.
    #[prop(optional)]
    alert: bool,
    /// The id of the element that gets the focus afterwards, if the previous one is gone.
    #[prop(default = "content")]
    return_to: &'static str,
    on_dismiss: Callback<()>,
    children: Children,
) -> impl IntoView {
    let node = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = node.get() {
            let opener = navigate::opener();
            browser::show_modal(&dialog);
            // Listen on the window, because no element may have the focus.
            let escape = window_event_listener(leptos::ev::keydown, move |event| {
                if event.key() == "Escape" && browser::is_on_top(&dialog) {
                    event.prevent_default();
                    on_dismiss.run(());
                }
            });
            on_cleanup(move || {
                escape.remove();
                request_animation_frame(move || browser::focus_after_dialog(&opener, return_to));
            });
        }
    });
    view! {
        <dialog
            node_ref=node
            class="dialog"
            open=true
            role=alert.then_some("alertdialog")
            aria-labelledby=id
            on:cancel=move |event: leptos::web_sys::Event| {
                event.prevent_default();
                on_dismiss.run(());
            }
        >
            <h2 id=id>{title}</h2>
            {children()}
        </dialog>
    }
}

/// A button that opens a dialog: it leads to `path?name`.
#[component]
pub fn DialogTrigger(
    #[prop(into)] path: String,
    name: &'static str,
    #[prop(into)] label: String,
    #[prop(default = "btn")] class: &'static str,
) -> impl IntoView {
    view! {
        <DialogTriggers path kept=Vec::new()>
            <button class=class id=format!("open-{name}") name=name>{label}</button>
        </DialogTriggers>
    }
}

/// The form around a table with a [`RowTrigger`] in each row. One form for each button would be a quarter of the table's nodes.
#[component]
pub fn DialogTriggers(
    #[prop(into)] path: String,
    /// The parameters that stay.
    kept: Parameters,
    children: Children,
) -> impl IntoView {
    view! {
        <form method="get" action=path>
            <Hidden fields=kept/>
            {children()}
        </form>
    }
}

/// A button that opens a dialog about a row: it adds `name=id` to the address of its [`DialogTriggers`].
#[component]
pub fn RowTrigger(
    name: &'static str,
    /// The id of what the row shows.
    id: String,
    /// The HTML id of the name in the row.
    describes: String,
    #[prop(into)] label: String,
    #[prop(default = "btn btn-sm")] class: &'static str,
) -> impl IntoView {
    // The focus returns to it, even after its row was rendered again.
    let html_id = format!("open-{name}-{id}");
    view! { <button class=class id=html_id name=name value=id aria-describedby=describes>{label}</button> }
}

/// The button that closes a dialog. `back` is the page below it, with the parameters `kept`.
#[component]
pub fn Cancel(
    #[prop(into)] back: String,
    #[prop(optional)] kept: Parameters,
    #[prop(optional)] autofocus: bool,
    #[prop(default = "Cancel")] label: &'static str,
    /// What closes a dialog that has no address.
    #[prop(optional)]
    on_cancel: Option<Callback<()>>,
) -> impl IntoView {
    let cancel = move |event: SubmitEvent| {
        if let Some(on_cancel) = on_cancel {
            event.prevent_default();
            on_cancel.run(());
        }
    };
    view! {
        <form method="get" action=back on:submit=cancel>
            <Hidden fields=kept/>
            <button class="btn" autofocus=autofocus>{label}</button>
        </form>
    }
}
