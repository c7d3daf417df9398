//! Entering the password again, before what a session that was left open must not be enough for: in a dialog, or without
//! JavaScript on a page of its own. After it goes on what was asked for.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::confirm::WaitingForm;
use crate::model::users::PASSWORD_MAX;
use crate::ui::dialog::{Cancel, Dialog};
use crate::ui::field::Field;
use crate::ui::layout::PlainDocument;
use crate::ui::notice::{FormProblem, Problems};

const TITLE: &str = "Confirm with your password";
const WHY: &str = "You entered it more than 15 minutes ago. Enter it again, and what you asked for is done.";

/// Takes the password of whoever is signed in once more.
#[server(prefix = "/fn", endpoint = "confirm_password")]
pub async fn confirm_password(password: String) -> Result<(), AppError> {
    let (state, session) = crate::server::auth::signed_in().await?;
    crate::server::accounts::confirm_here(&state, &session, password.into()).await
}

/// What is done once the password was entered; nothing is asked where there is nothing.
#[derive(Clone, Copy, Default)]
pub struct Waiting(RwSignal<Option<Callback<()>>>);

/// Where the server refuses an action for want of the password, asks for it and repeats the action.
pub fn before<S>(action: ServerAction<S>)
where
    S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let Some(Waiting(waiting)) = use_context() else { return };
    let sent = StoredValue::new(None::<S>);
    Effect::new(move |_| match (action.input().get(), action.value().get()) {
        (Some(input), _) => sent.set_value(Some(input)),
        (None, Some(Err(AppError::PasswordNeeded))) => {
            if let Some(input) = sent.try_update_value(Option::take).flatten() {
                let again = move |()| drop(action.dispatch(input.clone()));
                waiting.set(Some(Callback::new(again)));
            }
        }
        _ => {}
    });
}

/// The dialog that asks, over whatever is open.
#[component]
pub fn ConfirmDialog() -> impl IntoView {
    let Waiting(waiting) = use_context().unwrap_or_default();
    let confirm = ServerAction::<ConfirmPassword>::new();
    let problems = Problems::of(confirm);
    let close = Callback::new(move |()| {
        confirm.clear();
        waiting.set(None);
    });
    Effect::new(move |_| {
        if let (Some(Ok(())), Some(again)) = (confirm.value().get(), waiting.get_untracked()) {
            close.run(());
            again.run(());
        }
    });
    let dialog = move || {
        view! {
            <Dialog id="confirm" title=TITLE on_dismiss=close>
                <p>{WHY}</p>
                <ActionForm action=confirm attr:class="form" attr:id="confirm-form">
                    <FormProblem problems/>
                    <Field
                        id="confirm-password"
                        name="password"
                        label="Password"
                        kind="password"
                        autocomplete="current-password"
                        length=(1, PASSWORD_MAX)
                        autofocus=true
                        error=problems.at("password")
                    />
                </ActionForm>
                <div class="dialog-foot">
                    <Cancel back="/profile" on_cancel=close/>
                    <button class="btn btn-primary" form="confirm-form" disabled=move || confirm.pending().get()>"Continue"</button>
                </div>
            </Dialog>
        }
    };
    move || waiting.with(Option::is_some).then(dialog)
}

/// The whole document that asks a browser without JavaScript, and sends the form on.
#[must_use]
#[expect(non_snake_case, reason = "a view")]
pub fn ConfirmDocument(form: WaitingForm, why: AppError, stylesheet: String) -> impl IntoView {
    let WaitingForm { action, page, fields } = form;
    let kept = [(WaitingForm::PAGE.to_owned(), page.clone())].into_iter().chain(fields);
    let kept = kept.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    let wrong = why.fields().and_then(|errors| errors.first("password")).map(ToOwned::to_owned);
    let other = (wrong.is_none() && why != AppError::PasswordNeeded).then(|| why.detail());
    view! {
        <PlainDocument title=TITLE stylesheet>
            <p>{WHY}</p>
            {other.map(|text| view! { <div role="alert" class="notice"><p>{text}</p></div> })}
            <form method="post" action=action class="form" id="confirm-form">
                {kept}
                <Field
                    id="confirm-password"
                    name=WaitingForm::PASSWORD
                    label="Password"
                    kind="password"
                    autocomplete="current-password"
                    length=(1, PASSWORD_MAX)
                    autofocus=true
                    error=Signal::stored(wrong)
                />
            </form>
            <div class="hero-actions">
                <button class="btn btn-primary" form="confirm-form">"Continue"</button>
                <form method="get" action=page><button class="btn">"Cancel"</button></form>
            </div>
        </PlainDocument>
    }
}
