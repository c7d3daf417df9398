//! The rights of a key in registered APIs.

use super::access::{Access, ApiLimit};
use crate::model::apis::{Api, ApiScope, find_scope, unknown_scope};
use crate::model::fields::FieldErrors;

/// Completes the APIs and registered scopes of an access, which names them only.
///
/// # Errors
/// An error at the field `api` or `scopes` if one is not registered.
pub fn complete(access: Access, apis: &[Api]) -> Result<Access, FieldErrors> {
    Ok(match access {
        Access::Api(Some(limit)) => {
            let known = apis.iter().find(|api| api.slug == limit.slug);
            let api = known.ok_or_else(|| FieldErrors::one("api", "Choose an API from the list."))?;
            Access::Api(Some(ApiLimit { name: api.name.clone(), ..limit }))
        }
        Access::Only(mut scopes) => {
            for scope in &mut scopes.registered {
                let known = find_scope(apis, &scope.name).ok_or_else(|| unknown_scope(&scope.name))?;
                scope.writes = known.writes;
            }
            Access::Only(scopes)
        }
        other => other,
    })
}

/// Returns the registered scopes of an API that an access includes.
pub fn included<'a>(access: &'a Access, api: &'a Api) -> impl Iterator<Item = &'a str> {
    let allowed = |scope: &&ApiScope| access.includes(&scope.name, scope.writes);
    api.scopes.iter().filter(allowed).map(|scope| scope.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::apis::tests::billing;
    use crate::model::apis::{is_reserved, slug_of};
    use crate::model::keys::{RegisteredScope, Scope, Scopes};

    #[test]
    fn no_registered_api_has_the_slug_of_a_built_in_scope() {
        assert!(Scope::ALL.iter().all(|scope| is_reserved(slug_of(scope.as_str()))));
    }

    #[test]
    fn access_is_completed_by_what_is_registered() {
        let apis = [billing()];
        let only = |name: &str| Access::Only(Scopes::parse([name].into_iter()).unwrap());
        let Access::Only(scopes) = complete(only("billing:see"), &apis).unwrap() else { panic!() };
        assert_eq!(scopes.registered, [RegisteredScope { name: "billing:see".to_owned(), writes: false }]);
        assert!(complete(only("billing:no"), &apis).unwrap_err().first("scopes").is_some());
        let one = |slug: &str| Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: String::new() }));
        assert_eq!(complete(one("billing"), &apis).unwrap().label(), "One API: Billing");
        assert!(complete(one("crm"), &apis).unwrap_err().first("api").is_some());
        assert_eq!(complete(Access::Full, &[]), Ok(Access::Full));
    }

    #[test]
    fn included_scopes_follow_the_access() {
        let api = billing();
        let names = |access: Access| included(&access, &api).collect::<Vec<_>>().join(" ");
        let one = |slug: &str| Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: String::new() }));
        assert_eq!(names(Access::Full), "billing:pay billing:see");
        assert_eq!(names(Access::ReadOnly), "billing:see");
        assert_eq!(names(one("billing")), "billing:pay billing:see");
        assert_eq!(names(one("crm")), "");
        assert_eq!(names(Access::Api(None)), "");
        assert_eq!(names(Access::Only(Scopes::parse(["billing:pay"].into_iter()).unwrap())), "billing:pay");
        assert_eq!(names(Access::Only(Scopes::default())), "");
    }
}
