//! Re-authentication ("sudo mode") before sensitive actions: in a dialog, or without JavaScript on a separate page. Afterwards the
//! action continues.

use std::sync::Arc;

use leptos::ev::SubmitEvent;
use leptos::prelude::*;

use crate::error::AppError;
use crate::model::reauth::PendingForm;
use crate::ui::browser;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::feedback::{ActionErrors, FormError};
use crate::ui::field::Field;
use crate::ui::layout::PlainDocument;

const TITLE: &str = "Confirm with your password";
const FIELD: &str = "confirm-password";
const WHY: &str = "You entered your password more than 15 minutes ago. Enter it again to continue.";

/// Checks the password of the signed-in user again.
#[server(prefix = "/fn", endpoint = "confirm_password")]
pub async fn confirm_password(password: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::auth::login::reauthenticate(&state, &session, password.into()).await
}

/// Calls a server function. It is no [`Callback`], because that is disposed with its table row.
type Call = Arc<dyn Fn() + Send + Sync>;

/// Pending re-authentication. Components take it from the context.
#[derive(Clone, Copy, Default)]
pub struct Reauth {
    /// The last call that may need the password.
    sent: StoredValue<Option<Call>>,
    /// The call to repeat after the password. The dialog is open while there is one.
    asking: RwSignal<Option<Call>>,
}

impl Reauth {
    pub fn from_context() -> Self {
        use_context().unwrap_or_default()
    }

    /// Makes a call that may need the password.
    pub fn send(self, call: impl Fn() + Send + Sync + 'static) {
        self.send_call(Arc::new(call));
    }

    fn send_call(self, call: Call) {
        self.sent.set_value(Some(Arc::clone(&call)));
        call();
    }

    /// Asks for the password if the call fails with [`AppError::ReauthenticationRequired`].
    pub fn retry_after_reauth(self, errors: ActionErrors) {
        Effect::new(move |_| {
            if errors.is(&AppError::ReauthenticationRequired)
                && let Some(call) = self.sent.try_update_value(Option::take).flatten()
            {
                self.asking.set(Some(call));
            }
        });
    }
}

/// The dialog that asks for the password, above any other.
#[component]
pub fn ReauthDialog() -> impl IntoView {
    let reauth = Reauth::from_context();
    let confirm = ServerAction::<ConfirmPassword>::new();
    let errors = ActionErrors::of(confirm);
    let close = Callback::new(move |()| {
        confirm.clear();
        reauth.asking.set(None);
    });
    Effect::new(move |_| {
        if let (Some(Ok(())), Some(again)) = (confirm.value().get(), reauth.asking.get_untracked()) {
            close.run(());
            reauth.send_call(again);
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
                    <FormError errors/>
                    <PasswordField name="password" error=errors.at("password")/>
                </form>
                <div class="dialog-foot">
                    <Cancel back="/profile" on_cancel=close/>
                    <button class="btn btn-primary" form="confirm-form" disabled=move || confirm.pending().get()>"Continue"</button>
                </div>
            </Dialog>
        }
    };
    move || reauth.asking.with(Option::is_some).then(dialog)
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

/// The document that asks for the password without JavaScript and sends the form again.
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
