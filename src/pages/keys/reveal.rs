//! A new key, shown once: in a dialog, or without JavaScript in a separate document.

use leptos::ev::beforeunload;
use leptos::html;
use leptos::prelude::*;

use crate::error::AppError;
use crate::model::keys::NewKey;
use crate::ui::dialog::Dialog;
use crate::ui::feedback::StatusMessage;
use crate::ui::layout::PlainDocument;
use crate::ui::{browser, navigate};

/// The new key while its dialog shows it. Nothing else holds it. Components take it from the context.
#[derive(Clone, Copy, Default)]
pub struct NewKeyShown(pub RwSignal<Option<NewKey>>);

impl NewKeyShown {
    pub fn from_context() -> Self {
        use_context().unwrap_or_default()
    }
}

#[component]
pub fn NewKeyDialog(
    new: NewKey,
    origin: String,
    /// The page below the dialog.
    back: &'static str,
) -> impl IntoView {
    let NewKeyShown(shown) = NewKeyShown::from_context();
    let on_seen = Callback::new(move |()| {
        shown.set(None);
        navigate::arrive(back);
    });
    let copied = RwSignal::new(false);
    let confirm_close = RwSignal::new(false);
    let status = RwSignal::new(None::<String>);
    let input = NodeRef::<html::Input>::new();
    let leave = Callback::new(move |()| if copied.get_untracked() { on_seen.run(()) } else { confirm_close.set(true) });
    Effect::new(move |_| {
        let warning = window_event_listener(beforeunload, move |event| {
            if !copied.get_untracked() {
                event.prevent_default();
            }
        });
        navigate::block(Some(leave));
        on_cleanup(move || {
            warning.remove();
            navigate::block(None);
        });
    });
    let keep = move |_| {
        confirm_close.set(false);
        browser::focus_id("copy-key");
    };
    let key = StoredValue::new(new.key.clone());
    let copy = move |_| {
        leptos::task::spawn_local(async move {
            if browser::copy(&key.get_value()).await {
                copied.set(true);
                status.set(Some("Copied.".to_owned()));
            } else if let Some(input) = input.get_untracked() {
                browser::select(&input);
                status.set(Some("The key is selected. Copy it with your keyboard.".to_owned()));
            }
        });
    };
    view! {
        <Dialog id="new-key" title="Your new API key" return_to="open-create" on_dismiss=leave>
            <p>
                "Copy the key " <bdi>{new.facts.name.as_str().to_owned()}</bdi>
                " now and keep it in a safe place. It won't be shown again."
            </p>
            <div class="copy-row">
                <div class="field">
                    <label for="new-key-value">"API key"</label>
                    <input
                        class="input mono"
                        id="new-key-value"
                        readonly=true
                        autocomplete="off"
                        spellcheck="false"
                        value=new.key.clone()
                        node_ref=input
                        on:copy=move |_| copied.set(true)
                    />
                </div>
                <button class="btn" id="copy-key" autofocus=true on:click=copy>"Copy"</button>
            </div>
            <StatusMessage text=status/>
            <p>"Try it:"</p>
            <pre class="code" tabindex="0" role="region" aria-label="Example command"><code>{new.curl(&origin)}</code></pre>
            <Show when=move || confirm_close.get()>
                <div role="alert" class="notice">
                    <p>"You haven't copied the key yet. After you close this dialog, nobody can show it to you again."</p>
                    <div class="dialog-foot">
                        <button class="btn" on:click=keep>"Keep it open"</button>
                        <button class="btn btn-error" on:click=move |_| on_seen.run(())>"Close without copying"</button>
                    </div>
                </div>
            </Show>
            <div class="dialog-foot">
                <button class="btn btn-primary" on:click=move |_| on_seen.run(())>"Done"</button>
            </div>
        </Dialog>
    }
}

/// The links of a [`NewKeyDocument`].
pub struct NewKeyLinks {
    /// The page with the form open.
    pub form: String,
    /// The page below the form.
    pub page: &'static str,
}

/// The response to a form without JavaScript: the new key or the error.
#[expect(non_snake_case, reason = "a view")]
pub fn NewKeyDocument(
    made: Result<NewKey, AppError>,
    origin: String,
    stylesheet: String,
    links: NewKeyLinks,
) -> impl IntoView {
    let NewKeyLinks { form, page } = links;
    let title = match &made {
        Ok(_) => "Your new API key",
        Err(_) if form.contains("rotate") => "The key wasn't rotated",
        Err(_) => "The key wasn't created",
    };
    let leave = if page == "/profile" { "Back to your profile" } else { "Back to the keys" };
    let content = match made {
        Ok(new) => view! {
            <p>
                "Copy the key " <bdi>{new.facts.name.as_str().to_owned()}</bdi>
                " now and keep it in a safe place. It won't be shown again, even if you reload this page."
            </p>
            <div class="field">
                <label for="new-key-value">"API key"</label>
                <input class="input mono" id="new-key-value" readonly=true autocomplete="off" autofocus=true value=new.key.clone()/>
            </div>
            <p>"Try it:"</p>
            <pre class="code" tabindex="0" role="region" aria-label="Example command"><code>{new.curl(&origin)}</code></pre>
            <p><a class="btn btn-primary" href=page>"Done"</a></p>
        }
        .into_any(),
        Err(error) => view! {
            <div role="alert" class="notice"><p>{error.detail()}</p></div>
            <p class="hero-actions">
                <a class="btn btn-primary" href=form>"Back to the form"</a>
                <a class="btn" href=page>{leave}</a>
            </p>
        }
        .into_any(),
    };
    view! { <PlainDocument title stylesheet>{content}</PlainDocument> }
}
