//! One file a page: its server functions, which are public endpoints, and its components.

pub mod docs;
pub mod employees;
pub mod home;
pub mod keys;
pub mod profile;
pub mod sign_in;

use leptos::prelude::*;
use leptos_router::components::Redirect;
use leptos_router::hooks::use_location;

use crate::error::AppError;
use crate::model::users::User;
use crate::ui::notice::LoadProblem;

/// Renders a page for whoever is signed in; sends others to sign in, and back here after it.
#[component]
fn SignedInOnly(page: fn(User) -> AnyView) -> impl IntoView {
    let path = use_location().pathname.get_untracked();
    let visitor = Resource::new(|| (), |()| sign_in::whoami());
    view! {
        <Transition>
            {move || {
                let path = path.clone();
                Suspend::new(async move {
                    match visitor.await {
                        Ok(Some(user)) => page(user),
                        Ok(None) | Err(AppError::CredentialsMissing) => {
                            view! { <Redirect path=format!("/sign-in?next={path}")/> }.into_any()
                        }
                        Err(error) => view! { <LoadProblem what="This page" error/> }.into_any(),
                    }
                })
            }}
        </Transition>
    }
}
