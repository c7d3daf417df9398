//! Documents around one-time links: the form for a new password, and the new link. Without the program of the pages, so that they
//! are the same with and without JavaScript.

use leptos::prelude::*;

use crate::error::AppError;
use crate::model::time::Timestamp;
use crate::model::users::PASSWORD_MIN;
use crate::ui::field::Field;
use crate::ui::layout::PlainDocument;

/// The form for a new password. `email` names the account of the link; there is none if the link doesn't work.
#[expect(non_snake_case, reason = "a view")]
pub fn ResetPasswordDocument(email: Option<String>, error: Option<AppError>, stylesheet: String) -> impl IntoView {
    let Some(email) = email else {
        return view! {
            <PlainDocument title="This link doesn't work" stylesheet>
                <p>"It was used, it has expired, or a newer one was made. A link works once, for 24 hours."</p>
                <p>"Ask an administrator for a new link, and open it in this browser."</p>
                <p><a class="btn btn-primary" href="/sign-in">"Go to sign-in"</a></p>
            </PlainDocument>
        }
        .into_any();
    };
    let wrong = error.as_ref().and_then(AppError::fields).and_then(|errors| errors.first("new"));
    let wrong = Signal::stored(wrong.map(ToOwned::to_owned));
    view! {
        <PlainDocument title="Set a new password" stylesheet>
            <p>"For the account " <strong><bdi>{email.clone()}</bdi></strong> ". You'll be signed out everywhere. Your API keys keep working."</p>
            <form method="post" action="/reset-password" class="form">
                <input type="email" autocomplete="username" value=email hidden/>
                <Field
                    id="new-password"
                    name="new"
                    label="New password"
                    kind="password"
                    autocomplete="new-password"
                    min_length=PASSWORD_MIN
                    hint="At least 8 characters. Four random words are easy to remember and hard to guess."
                    autofocus=true
                    error=wrong
                />
                <button class="btn btn-primary">"Set password"</button>
            </form>
        </PlainDocument>
    }
    .into_any()
}

/// A new link, shown once to the administrator who made it.
pub struct NewResetLink {
    pub email: String,
    pub url: String,
    pub expires_at: Timestamp,
}

/// The response to the administrator's form: the new link or the error.
#[expect(non_snake_case, reason = "a view")]
pub fn ResetLinkDocument(made: Result<NewResetLink, AppError>, stylesheet: String) -> impl IntoView {
    let title = if made.is_ok() { "One-time reset link" } else { "The link wasn't created" };
    let content = match made {
        Ok(NewResetLink { email, url, expires_at }) => view! {
            <p>
                "With this link, " <strong><bdi>{email}</bdi></strong> " sets a new password. It works once, until "
                {expires_at.minute()} ". An earlier link no longer works."
            </p>
            <div class="field">
                <label for="reset-link">"Link"</label>
                <textarea class="input mono secret" id="reset-link" rows="3" readonly=true autocomplete="off" autofocus=true>
                    {url}
                </textarea>
            </div>
            <p>"Send it where only they can read it. Anyone who has it can take over the account. It won't be shown again."</p>
        }
        .into_any(),
        Err(error) => view! { <div role="alert" class="notice"><p>{error.detail()}</p></div> }.into_any(),
    };
    view! {
        <PlainDocument title stylesheet>
            {content}
            <p><a class="btn btn-primary" href="/admin/users">"Back to the users"</a></p>
        </PlainDocument>
    }
}
