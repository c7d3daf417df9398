//! For whom the page was rendered that a request comes from. Browsers send the cookie of now with a page of before: after another
//! sign-in in a second tab, a form on the first would act as the other account. So pages say whose they are, and a page of
//! another account is refused.
//!
//! A request that says nothing acts as its session does. No page of ours does that, and what other sites make a browser send is
//! refused for its origin before this.

use axum::extract::Request;
use axum::http::{Extensions, Uri};

use crate::error::AppError;
use crate::model::users::{PAGE_USER_PATH, UserId};

/// The user for whom it was rendered.
#[derive(Clone, Debug)]
pub struct PageUser(pub UserId);

/// Takes the user out of the path of a server function: what follows sees the path without it.
pub fn take_from_path(request: &mut Request) {
    let Some((user, uri)) = split(request.uri()) else { return };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(PageUser(user));
}

fn split(uri: &Uri) -> Option<(UserId, Uri)> {
    let whole = uri.path_and_query()?.as_str().strip_prefix(PAGE_USER_PATH)?;
    let (user, function) = whole.split_at_checked(whole.find('/')?)?;
    if !function.starts_with("/fn/") && !function.starts_with("/admin/fn/") {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(function.parse().ok()?);
    Some((UserId::parse(user)?, Uri::from_parts(parts).ok()?))
}

/// Refuses a page that was rendered for somebody else.
///
/// # Errors
/// [`AppError::AccountChanged`].
pub fn check(extensions: &Extensions, user: &UserId) -> Result<(), AppError> {
    match extensions.get::<PageUser>() {
        Some(PageUser(other)) if other != user => Err(AppError::AccountChanged),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_taken_from_paths_of_server_functions_only() {
        let id = "01890000-0000-7000-8000-000000000000";
        let read = |path: String| split(&path.parse().unwrap()).map(|(user, uri)| (user.to_string(), uri.to_string()));
        for function in ["/fn/save_name", "/admin/fn/find_keys?x=/as/", "/fn/"] {
            assert_eq!(read(format!("/as/{id}{function}")), Some((id.to_owned(), function.to_owned())));
        }
        for other in [
            "/as/",
            "/as",
            "/as/junk/fn/x",
            &format!("/as/{id}"),
            &format!("/as/{id}/profile"),
            &format!("/as/{id}//fn/x"),
            "/fn/x",
        ] {
            assert_eq!(read(other.to_owned()), None, "{other}");
        }
    }
}
