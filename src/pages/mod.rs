//! One file a page: its server functions, which are public endpoints, and its components.

pub mod docs;
pub mod employees;
pub mod home;
pub mod keys;
pub mod profile;
pub mod sign_in;

use std::task::Poll;

use codee::{Decoder, Encoder};
use leptos::prelude::*;
use leptos_router::components::Redirect;
use leptos_router::hooks::use_location;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::AppError;
use crate::model::users::User;

/// Data of a page, read on the server for the first page and by the browser after that.
pub type Loaded<T> = Resource<Result<T, AppError>, Json>;

/// Loads data by a server function, again whenever `source` changes.
pub fn load<S, T, F>(
    source: impl Fn() -> S + Send + Sync + 'static,
    read: impl Fn(S) -> F + Send + Sync + 'static,
) -> Loaded<T>
where
    S: PartialEq + Clone + Send + Sync + 'static,
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Result<T, AppError>> + Send + 'static,
{
    Resource::new_with_options(source, read, false)
}

/// Waits for loaded data. On the server a moment longer: a `Transition` first asks its content whether it is ready, and
/// what is ready at once is rendered then, thrown away, and rendered again.
///
/// # Errors
/// What the server function was refused for.
pub async fn ready<T>(data: Loaded<T>) -> Result<T, AppError>
where
    T: Clone + Send + Sync + 'static,
{
    let data = data.await;
    let mut waited = !is_server();
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    data
}

/// JSON by the reader that the answers of server functions are read with. The codec of Leptos brings a second one.
pub struct Json;

impl<T: Serialize> Encoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = String;

    fn encode(value: &T) -> Result<String, serde_json::Error> {
        serde_json::to_string(value)
    }
}

impl<T: DeserializeOwned> Decoder<T> for Json {
    type Error = serde_json::Error;
    type Encoded = str;

    fn decode(text: &str) -> Result<T, serde_json::Error> {
        serde_json::from_slice(text.as_bytes())
    }
}

/// Sends whoever is not signed in to sign in, and back here after it. It stands beside what it protects, not around it: the
/// data is protected by the server functions, and what is nested in one that waits is rendered twice.
#[component]
fn SignedInOnly(visitor: Loaded<Option<User>>) -> impl IntoView {
    let path = use_location().pathname.get_untracked();
    view! {
        <Transition>
            {move || {
                let path = path.clone();
                Suspend::new(async move {
                    let stranger = matches!(ready(visitor).await, Ok(None) | Err(AppError::CredentialsMissing));
                    stranger.then(|| view! { <Redirect path=format!("/sign-in?next={path}")/> })
                })
            }}
        </Transition>
    }
}
