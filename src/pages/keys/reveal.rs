//! A new key, shown once: in a dialog, or without JavaScript in a separate document.

use leptos::ev::beforeunload;
use leptos::html;
use leptos::prelude::*;

use crate::error::AppError;
use crate::model::keys::NewKey;
use crate::model::link::link;
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
    #[prop(into)]
    back: String,
) -> impl IntoView {
    let NewKeyShown(shown) = NewKeyShown::from_context();
    let on_seen = Callback::new(move |()| {
        shown.set(None);
        navigate::arrive(&back);
    });
    let copied = RwSignal::new(false);
    let confirm_close = RwSignal::new(false);
    let status = RwSignal::new(None::<String>);
    let field = NodeRef::<html::Textarea>::new();
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
    let (key, command) = (StoredValue::new(new.key.clone()), StoredValue::new(new.curl(&origin)));
    // Without a clipboard, as over plain http, the reader copies the selected key.
    let copy = move |text: StoredValue<String>, done: &'static str| {
        leptos::task::spawn_local(async move {
            if browser::copy(&text.get_value()).await {
                copied.set(true);
                status.set(Some(done.to_owned()));
            } else if let Some(field) = field.get_untracked() {
                browser::select(&field);
                status.set(Some("The key is selected. Copy it with your keyboard.".to_owned()));
            }
        });
    };
    view! {
        <Dialog id="new-key" title="Your new API key" return_to="open-create" on_dismiss=leave>
            <p>
                "Copy the key " <strong><bdi>{new.facts.name.as_str().to_owned()}</bdi></strong>
                " now and keep it in a safe place. It won't be shown again."
            </p>
            <div class="field">
                <label for="new-key-value">"API key"</label>
                <textarea
                    class="input mono secret"
                    id="new-key-value"
                    rows="2"
                    readonly=true
                    autocomplete="off"
                    spellcheck="false"
                    node_ref=field
                    on:copy=move |_| copied.set(true)
                >{new.key}</textarea>
                <button class="btn btn-primary" id="copy-key" autofocus=true on:click=move |_| copy(key, "Key copied.")>"Copy"</button>
            </div>
            <div class="field">
                <p>"Try it:"</p>
                <pre class="code" tabindex="0" role="region" aria-label="Example command"><code>{command.get_value()}</code></pre>
                <button class="btn" on:click=move |_| copy(command, "Command copied.")>"Copy command"</button>
            </div>
            <StatusMessage text=status/>
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
                <button class="btn" on:click=move |_| on_seen.run(())>"Done"</button>
            </div>
        </Dialog>
    }
}

/// Returns the page below the dialog. The profile marks the new key.
pub fn page_with(new: &NewKey, page: &'static str) -> String {
    let id = if page == "/profile" { new.facts.id.as_str() } else { "" };
    link(page, [("new", id)])
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
                "Copy the key " <strong><bdi>{new.facts.name.as_str().to_owned()}</bdi></strong>
                " now and keep it in a safe place. It won't be shown again, even if you reload this page."
            </p>
            <div class="field">
                <label for="new-key-value">"API key"</label>
                <textarea class="input mono secret" id="new-key-value" rows="2" readonly=true autocomplete="off" autofocus=true>
                    {new.key.clone()}
                </textarea>
            </div>
            <p>"Try it:"</p>
            <pre class="code" tabindex="0" role="region" aria-label="Example command"><code>{new.curl(&origin)}</code></pre>
            <p><a class="btn btn-primary" href=page_with(&new, page)>"Done"</a></p>
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
