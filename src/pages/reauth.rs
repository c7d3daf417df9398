//! Re-authentication ("sudo mode") before sensitive actions: in a dialog, or without JavaScript on a separate page. Afterwards the
//! action continues.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::reauth::PendingForm;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::feedback::{FormError, FormErrors};
use crate::ui::field::{Field, PageUser};
use crate::ui::form;
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

/// Whether the dialog asks for the password. Components take it from the context.
#[derive(Clone, Copy, Default)]
pub struct Reauth(RwSignal<bool>);

impl Reauth {
    /// Asks for the password, for the form that the server refused.
    pub fn ask(self) {
        self.0.set(true);
    }

    /// Sends that form again.
    pub fn confirmed(self) {
        self.0.set(false);
        form::repeat();
    }
}

/// The dialog that asks for the password, above any other.
#[component]
pub fn ReauthDialog() -> impl IntoView {
    let Reauth(is_open) = use_context().unwrap_or_default();
    let errors = FormErrors::of(ConfirmPassword::url());
    let close = Callback::new(move |()| {
        form::forget();
        is_open.set(false);
    });
    let dialog = move || {
        view! {
            <Dialog id="confirm" title=TITLE on_dismiss=close>
                <p>{WHY}</p>
                <form method="post" action=ConfirmPassword::url() class="form" id="confirm-form">
                    <PageUser/>
                    <FormError errors/>
                    <PasswordField name="password" error=errors.at("password")/>
                </form>
                <div class="dialog-foot">
                    <Cancel back="/profile" on_cancel=close/>
                    <button class="btn btn-primary" form="confirm-form">"Continue"</button>
                </div>
            </Dialog>
        }
    };
    move || is_open.get().then(dialog)
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
