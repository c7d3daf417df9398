//! Entering the password again, before what a session that was left open must not be enough for: in a dialog, or without
//! JavaScript on a page of its own. After it goes on what was asked for.

use std::sync::Arc;

use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use crate::error::AppError;
use crate::model::reauth::PendingForm;
use crate::ui::browser;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::field::Field;
use crate::ui::layout::PlainDocument;
use crate::ui::notice::{FormProblem, Problems};

const TITLE: &str = "Confirm with your password";
/// The id of the field.
const FIELD: &str = "confirm-password";
const WHY: &str = "You entered it more than 15 minutes ago. Enter it again to go on.";

/// Takes the password of whoever is signed in once more.
#[server(prefix = "/fn", endpoint = "confirm_password")]
pub async fn confirm_password(password: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::login::reauthenticate(&state, &session, password.into()).await
}

/// Sends something. No [`Callback`], for that ends with the row of a table that it was made in.
type Call = Arc<dyn Fn() + Send + Sync>;

/// What waits for the password. Components take it from the context.
#[derive(Clone, Copy, Default)]
pub struct Waiting {
    /// What was sent last and may need the password.
    sent: StoredValue<Option<Call>>,
    /// What is sent again once the password was entered; nothing is asked where there is nothing.
    asking: RwSignal<Option<Call>>,
}

impl Waiting {
    /// That of the page that is being rendered.
    #[must_use]
    pub fn here() -> Self {
        use_context().unwrap_or_default()
    }

    /// Sends what may need the password.
    pub fn send(self, call: impl Fn() + Send + Sync + 'static) {
        self.send_call(Arc::new(call));
    }

    fn send_call(self, call: Call) {
        self.sent.set_value(Some(Arc::clone(&call)));
        call();
    }

    /// Asks for the password where what was sent is refused for want of it.
    pub fn retry_after_reauth(self, problems: Problems) {
        Effect::new(move |_| {
            if problems.is(&AppError::ReauthenticationRequired)
                && let Some(call) = self.sent.try_update_value(Option::take).flatten()
            {
                self.asking.set(Some(call));
            }
        });
    }
}

/// The dialog that asks, over whatever is open.
#[component]
pub fn ReauthDialog() -> impl IntoView {
    let waiting = Waiting::here();
    let confirm = ServerAction::<ConfirmPassword>::new();
    let problems = Problems::of(confirm);
    let close = Callback::new(move |()| {
        confirm.clear();
        waiting.asking.set(None);
    });
    Effect::new(move |_| {
        if let (Some(Ok(())), Some(again)) = (confirm.value().get(), waiting.asking.get_untracked()) {
            close.run(());
            waiting.send_call(again);
        }
    });
    let send = move |event: SubmitEvent| {
        event.prevent_default();
        if !confirm.pending().get_untracked() {
            confirm.dispatch(ConfirmPassword { password: browser::value_of(FIELD) });
        }
    };
    let dialog = move || {
        view! {
            <Dialog id="confirm" title=TITLE on_dismiss=close>
                <p>{WHY}</p>
                <form class="form" id="confirm-form" on:submit=send>
                    <FormProblem problems/>
                    <PasswordField name="password" error=problems.at("password")/>
                </form>
                <div class="dialog-foot">
                    <Cancel back="/profile" on_cancel=close/>
                    <button class="btn btn-primary" form="confirm-form" disabled=move || confirm.pending().get()>"Continue"</button>
                </div>
            </Dialog>
        }
    };
    move || waiting.asking.with(Option::is_some).then(dialog)
}

#[component]
fn PasswordField(name: &'static str, error: Signal<Option<String>>) -> impl IntoView {
    view! {
        <Field
            id=FIELD
            name
            label="Password"
            kind="password"
            autocomplete="current-password"
            autofocus=true
            error
        />
    }
}

/// The whole document that asks a browser without JavaScript, and sends the form on.
#[must_use]
#[expect(non_snake_case, reason = "a view")]
pub fn ReauthDocument(form: PendingForm, why: AppError, stylesheet: String) -> impl IntoView {
    let PendingForm { action, page, fields } = form;
    let kept = [(PendingForm::PAGE.to_owned(), page.clone())].into_iter().chain(fields);
    let kept = kept.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    let wrong = why.fields().and_then(|errors| errors.first("password")).map(ToOwned::to_owned);
    let other = (wrong.is_none() && why != AppError::ReauthenticationRequired).then(|| why.detail());
    view! {
        <PlainDocument title=TITLE stylesheet>
            <p>{WHY}</p>
            {other.map(|text| view! { <div role="alert" class="notice"><p>{text}</p></div> })}
            <form method="post" action=action class="form" id="confirm-form">
                {kept}
                <PasswordField name=PendingForm::PASSWORD error=Signal::stored(wrong)/>
            </form>
            <div class="hero-actions">
                <button class="btn btn-primary" form="confirm-form">"Continue"</button>
                <a class="btn" href=page>"Cancel"</a>
            </div>
        </PlainDocument>
    }
}
