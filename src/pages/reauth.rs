//! Re-authentication ("sudo mode") before sensitive actions: in a dialog, or without JavaScript on a separate page. Afterwards the
//! action continues.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use super::sign_in::SignIn;
use crate::error::AppError;
use crate::model::sent_form::SentForm;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::feedback::{FieldState, FormError, FormErrors};
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

/// Why the dialog asks for the password.
#[derive(Clone, Copy, PartialEq)]
enum Reason {
    /// It was entered too long ago.
    Old,
    /// The session ended while the page was open.
    SignedOut,
}

/// The dialog that asks for the password, while it is open. Components take it from the context.
#[derive(Clone, Copy, Default)]
pub struct Reauth(RwSignal<Option<Reason>>);

impl Reauth {
    /// Asks for the password, for the form that the server refused with this error.
    pub fn ask(self, error: &AppError) {
        let is_old = *error == AppError::ReauthenticationRequired;
        self.0.set(Some(if is_old { Reason::Old } else { Reason::SignedOut }));
    }

    /// Sends that form again.
    pub fn confirmed(self) {
        self.0.set(None);
        form::repeat();
    }
}

/// The dialog that asks for the password, above any other. `email` is the address of the user of the page.
#[component]
pub fn ReauthDialog(email: String) -> impl IntoView {
    let Reauth(reason) = use_context().unwrap_or_default();
    let close = Callback::new(move |()| {
        form::forget();
        reason.set(None);
    });
    let dialog = move |reason: Reason| {
        let (title, why, action, name) = match reason {
            Reason::Old => (TITLE, WHY, ConfirmPassword::url(), None),
            Reason::SignedOut => {
                ("Sign in again", "You were signed out. What you entered is kept.", SignIn::url(), Some("email"))
            }
        };
        let (errors, email) = (FormErrors::of(action), email.clone());
        view! {
            <Dialog id="confirm" title on_dismiss=close>
                <p>{why}</p>
                <form method="post" action=action class="form" id="confirm-form" data-continues="">
                    {(reason == Reason::Old).then(|| view! { <PageUser/> })}
                    <FormError errors/>
                    <Username email name/>
                    <PasswordField name="password" error=errors.at("password")/>
                </form>
                <div class="dialog-foot">
                    <Cancel back="/profile" on_cancel=close/>
                    <button class="btn btn-primary" form="confirm-form">"Continue"</button>
                </div>
            </Dialog>
        }
    };
    move || reason.get().map(&dialog)
}

/// Says whose password to enter, to the reader and to password managers. Without a name it is not sent.
#[component]
fn Username(email: String, name: Option<&'static str>) -> impl IntoView {
    view! {
        <p>"Account: " <bdi>{email.clone()}</bdi></p>
        <input type="email" name=name autocomplete="username" value=email hidden/>
    }
}

#[component]
fn PasswordField(name: &'static str, error: FieldState) -> impl IntoView {
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
pub fn ReauthDocument(form: SentForm, why: AppError, email: String, stylesheet: String) -> impl IntoView {
    let SentForm { action, page, fields } = form;
    let kept = [(SentForm::PAGE.to_owned(), page.clone())].into_iter().chain(fields);
    let kept = kept.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    let wrong = why.fields().and_then(|errors| errors.first("password")).map(ToOwned::to_owned);
    let other = (wrong.is_none() && why != AppError::ReauthenticationRequired).then(|| why.detail());
    view! {
        <PlainDocument title=TITLE stylesheet>
            <p>{WHY}</p>
            {other.map(|text| view! { <div role="alert" class="notice"><p>{text}</p></div> })}
            <form method="post" action=action class="form" id="confirm-form">
                {kept}
                <Username email name=None/>
                <PasswordField name=SentForm::PASSWORD error=Signal::stored(wrong).into()/>
            </form>
            <div class="hero-actions">
                <button class="btn btn-primary" form="confirm-form">"Continue"</button>
                <a class="btn" href=page>"Cancel"</a>
            </div>
        </PlainDocument>
    }
}
