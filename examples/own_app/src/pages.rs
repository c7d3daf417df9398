//! Pages in Keyfob's document. They are rendered on the server and work without JavaScript.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use keyfob::error::AppError;
use keyfob::server::auth::Scoped;
use keyfob::server::state::AppState;
use keyfob::web::page_request::UserPage;
use leptos::prelude::*;

use crate::api::{NewNote, NotesWrite};
use crate::notes::{self, Note};

/// Shows the notes of the signed-in user. Other visitors are sent to `/sign-in` and back.
pub async fn show(page: UserPage) -> Result<Response, AppError> {
    let notes = notes::list(&page.state.db, &page.session.user.id).await?;
    Ok(page.render_own("Notes", move || view! { <NotesPage notes/> }))
}

/// Adds a note. Keyfob rejects forms from other sites.
pub async fn add(
    State(state): State<AppState>,
    caller: Scoped<NotesWrite>,
    Form(new): Form<NewNote>,
) -> Result<Response, AppError> {
    let Some(text) = notes::valid(&new.text) else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "A note has 1 to 500 characters.").into_response());
    };
    notes::add(&state, &caller.tenant(), text).await?;
    Ok(Redirect::to("/notes").into_response())
}

#[component]
fn NotesPage(notes: Vec<Note>) -> impl IntoView {
    let list = if notes.is_empty() {
        view! { <p class="empty">"There are no notes yet."</p> }.into_any()
    } else {
        let item = |note: Note| view! { <li>{note.text}</li> };
        view! { <ul>{notes.into_iter().map(item).collect_view()}</ul> }.into_any()
    };
    view! {
        <div class="page-head">
            <h1>"Notes"</h1>
            <p>"A page of an app that uses Keyfob as a library."</p>
        </div>
        <form method="post" action="/notes" class="form">
            <label for="text">"Note"</label>
            <input id="text" name="text" required maxlength="500"/>
            <div class="form-foot"><button class="btn">"Add note"</button></div>
        </form>
        {list}
    }
}
