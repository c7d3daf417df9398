//! Rejects requests from a page that was rendered for another account.
//!
//! After a second sign-in in another tab, an old page would act as the new account, because the browser sends the new cookie.
//! So every page names its user in the path of its server functions. A request that names no user acts as its session; our
//! pages never send one, and requests from other sites fail the origin check first.

use axum::extract::Request;
use axum::http::{Extensions, Uri};

use crate::error::AppError;
use crate::model::users::{PAGE_USER_PATH, UserId, takes_forms};

/// User for whom the page was rendered.
#[derive(Clone, Debug)]
pub struct PageUser(pub UserId);

/// Moves the user from the path of a server function into the request's extensions.
pub fn extract_from_path(request: &mut Request) {
    let Some((user, uri)) = split_path(request.uri()) else { return };
    *request.uri_mut() = uri;
    request.extensions_mut().insert(PageUser(user));
}

fn split_path(uri: &Uri) -> Option<(UserId, Uri)> {
    let whole = uri.path_and_query()?.as_str().strip_prefix(PAGE_USER_PATH)?;
    let (user, function) = whole.split_at_checked(whole.find('/')?)?;
    if !takes_forms(function) {
        return None;
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(function.parse().ok()?);
    Some((UserId::parse(user)?, Uri::from_parts(parts).ok()?))
}

/// Rejects a page of another user with [`AppError::AccountChanged`].
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
    fn only_server_function_paths_name_a_user() {
        let id = "01890000-0000-7000-8000-000000000000";
        let read =
            |path: String| split_path(&path.parse().unwrap()).map(|(user, uri)| (user.to_string(), uri.to_string()));
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
