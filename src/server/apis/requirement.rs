//! What a request for forward authentication requires of registered APIs: `?api=` and `?scope=`.

use std::borrow::Cow;

use super::{api_of, find};
use crate::error::AppError;
use crate::model::apis::{Api, ApiId, find_scope, is_scope_name, is_word, slug_of};
use crate::model::fields::FieldErrors;
use crate::model::keys::{Access, Scope, Scopes, included};

/// The most scopes that a request may require.
pub const MAX_REQUIRED_SCOPES: usize = 20;

/// The API and the scopes that a request requires, borrowed from its query where nothing is percent-encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRequirement<'q> {
    /// The slug of a registered API.
    api: Option<Cow<'q, str>>,
    /// Names of scopes, built-in or registered, each once.
    scopes: Vec<Cow<'q, str>>,
}

impl<'q> ApiRequirement<'q> {
    /// Requires an API by its slug. An empty value is an error: it must not lift the requirement.
    pub fn require_api(&mut self, slug: Cow<'q, str>) -> Result<(), String> {
        if self.api.is_some() {
            return Err("Name one API.".to_owned());
        }
        if !is_word(&slug) {
            return Err("Name an API by its slug, for example api=billing.".to_owned());
        }
        self.api = Some(slug);
        Ok(())
    }

    /// Requires a scope, built-in or registered.
    pub fn require_scope(&mut self, scope: Cow<'q, str>) -> Result<(), String> {
        if !is_scope_name(&scope) {
            let built_in = Scopes::list();
            return Err(format!(
                "Name a scope as API and name, for example scope=billing:invoices, or one of {built_in}."
            ));
        }
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        if self.scopes.len() == MAX_REQUIRED_SCOPES {
            return Err(format!("Require at most {MAX_REQUIRED_SCOPES} scopes."));
        }
        self.scopes.push(scope);
        Ok(())
    }

    /// Whether the request requires nothing of registered APIs.
    pub fn is_empty(&self) -> bool {
        self.api.is_none() && self.scopes.is_empty()
    }

    /// Checks the access of a key, or `None` for a session, which may do all that its user may. A read-only key lacks registered
    /// scopes that write, and built-in ones unless the request is safe.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for an API or a scope that is not registered, with the known ones; [`AppError::ApiMismatch`] and
    /// [`AppError::ScopeMissing`] for a key that lacks it.
    pub fn check(&self, access: Option<&Access>, is_safe: bool, apis: &[Api]) -> Result<(), AppError> {
        if let Some(slug) = self.api.as_deref()
            && find(apis, slug).is_none()
        {
            return Err(unknown_api("api", slug, apis).into());
        }
        for scope in &self.scopes {
            if !is_built_in(scope) && find_scope(apis, scope).is_none() {
                return Err(unknown_scope(scope, apis).into());
            }
        }
        let Some(access) = access else { return Ok(()) };
        match (self.api.as_deref(), access) {
            (Some(slug), access) if !access.reaches(slug) => return Err(AppError::ApiMismatch),
            (None, Access::Api(_)) => return Err(AppError::ApiMismatch),
            _ => {}
        }
        match self.scopes.iter().find(|scope| !has(access, scope, is_safe, apis)) {
            Some(_) if matches!(access, Access::Api(_)) => Err(AppError::ApiMismatch),
            Some(scope) => Err(AppError::ScopeMissing(scope.clone().into_owned())),
            None => Ok(()),
        }
    }

    /// Returns the scopes for the API behind the proxy: those of the required API that the caller has, or else the caller's own;
    /// always with the required ones.
    pub fn granted(&self, access: &Access, apis: &[Api]) -> String {
        match self.api.as_deref().and_then(|slug| find(apis, slug)) {
            Some(api) => self.joined(|| included(access, api)),
            None => self.joined(|| access.scopes()),
        }
    }

    /// Joins the scopes and the required ones that are not among them.
    fn joined<'a, I: Iterator<Item = &'a str>>(&self, scopes: impl Fn() -> I) -> String {
        let more = self.scopes.iter().map(AsRef::as_ref).filter(|required| scopes().all(|scope| scope != *required));
        let mut joined = String::new();
        scopes().for_each(|scope| push_word(&mut joined, scope));
        more.for_each(|scope| push_word(&mut joined, scope));
        joined
    }

    /// Returns the APIs for which the request counts: the required one, or else those of the required scopes.
    pub fn counted<'a>(&self, apis: &'a [Api]) -> impl Iterator<Item = &'a ApiId> {
        let is_counted = move |api: &&Api| match &self.api {
            Some(slug) => api.slug == **slug,
            None => self.scopes.iter().any(|scope| slug_of(scope) == api.slug),
        };
        apis.iter().filter(is_counted).map(|api| &api.id)
    }

    /// Returns the required API and its requests per minute, if it has a limit.
    pub fn limit<'a>(&self, apis: &'a [Api]) -> Option<(&'a ApiId, u32)> {
        let api = find(apis, self.api.as_deref()?)?;
        Some((&api.id, u32::try_from(api.rate?).ok()?))
    }
}

fn push_word(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

fn is_built_in(scope: &str) -> bool {
    Scope::ALL.iter().any(|known| known.as_str() == scope)
}

fn has(access: &Access, scope: &str, is_safe: bool, apis: &[Api]) -> bool {
    if let Some(known) = Scope::ALL.iter().find(|known| known.as_str() == scope) {
        return access.allows(*known, is_safe);
    }
    // What is not registered counts as writing.
    let writes = find_scope(apis, scope).is_none_or(|known| known.writes);
    access.includes(scope, writes)
}

fn unknown_api(field: &str, slug: &str, apis: &[Api]) -> FieldErrors {
    let known: Vec<_> = apis.iter().map(|api| api.slug.as_str()).collect();
    FieldErrors::one(field, format!("There is no API {slug}. {}", known_ones("APIs", &known)))
}

/// Lists the scopes of the API where that is known, and the APIs otherwise.
fn unknown_scope(scope: &str, apis: &[Api]) -> FieldErrors {
    let built_in = Scope::ALL.iter().map(|scope| scope.as_str());
    let known: Vec<_> = match api_of(apis, scope) {
        Some(api) => api.scopes.iter().map(|scope| scope.name.as_str()).collect(),
        None if built_in.clone().any(|known| slug_of(known) == slug_of(scope)) => built_in.collect(),
        None => return unknown_api("scope", slug_of(scope), apis),
    };
    FieldErrors::one("scope", format!("There is no scope {scope}. {}", known_ones("scopes", &known)))
}

fn known_ones(what: &str, known: &[&str]) -> String {
    if known.is_empty() { format!("There are no {what}.") } else { format!("Known {what}: {}.", known.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::apis::tests::billing;
    use crate::model::keys::{ApiLimit, Scopes};

    fn parse(query: &str) -> Result<ApiRequirement<'_>, FieldErrors> {
        let mut required = ApiRequirement::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let parsed = if name == "api" { required.require_api(value) } else { required.require_scope(value) };
            parsed.map_err(|sentence| FieldErrors::one(&name, sentence))?;
        }
        Ok(required)
    }

    fn check(query: &str, access: Option<&Access>) -> Result<(), AppError> {
        parse(query).unwrap().check(access, true, &[billing()])
    }

    fn one_api(slug: &str) -> Access {
        Access::Api(Some(ApiLimit { slug: slug.to_owned(), name: String::new() }))
    }

    fn only(names: &[&str]) -> Access {
        Access::Only(Scopes::parse(names.iter().copied()).unwrap())
    }

    #[test]
    fn malformed_requirements_are_refused() {
        let many = (0..=MAX_REQUIRED_SCOPES).map(|n| format!("scope=billing:s{n}")).collect::<Vec<_>>().join("&");
        let long = format!("api={}", "a".repeat(41));
        for (query, field) in [
            ("api=", "api"),
            ("api=a&api=a", "api"),
            ("api=Billing", "api"),
            ("api=%C3%BCber", "api"),
            ("api=a%00", "api"),
            (long.as_str(), "api"),
            ("scope=", "scope"),
            ("scope=billing", "scope"),
            ("scope=billing:see%20billing:pay", "scope"),
            ("scope=billing:s%C3%A9e", "scope"),
            (many.as_str(), "scope"),
        ] {
            assert!(parse(query).unwrap_err().first(field).is_some(), "{query}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for (query, known) in [
            ("api=crm", "Known APIs: billing."),
            ("scope=crm:see", "Known APIs: billing."),
            ("scope=billing:no", "Known scopes: billing:pay, billing:see."),
            ("scope=employees:no", "Known scopes: employees:read, employees:write"),
        ] {
            for access in [None, Some(&Access::Full), Some(&Access::ReadOnly)] {
                let error = check(query, access).unwrap_err();
                assert!(error.detail().contains(known), "{query}: {error}");
            }
        }
    }

    #[test]
    fn a_key_of_one_api_needs_that_api() {
        let key = one_api("billing");
        assert_eq!(check("api=billing", Some(&key)), Ok(()));
        assert_eq!(check("api=billing&scope=billing:pay", Some(&key)), Ok(()));
        for query in ["", "scope=billing:see", "api=billing&scope=employees:read"] {
            assert_eq!(check(query, Some(&key)), Err(AppError::ApiMismatch), "{query}");
        }
        for other in [one_api("crm"), Access::Api(None)] {
            for query in ["", "api=billing", "api=billing&scope=billing:see"] {
                assert_eq!(check(query, Some(&other)), Err(AppError::ApiMismatch), "{query}");
            }
        }
    }

    #[test]
    fn scopes_are_required_of_every_other_key() {
        let missing = |scope: &str| Err(AppError::ScopeMissing(scope.to_owned()));
        let query = "scope=billing:see&scope=billing:pay";
        assert_eq!(check(query, Some(&Access::Full)), Ok(()));
        assert_eq!(check(query, None), Ok(()));
        assert_eq!(check(query, Some(&Access::ReadOnly)), missing("billing:pay"));
        let unsafe_method = parse("scope=employees:write").unwrap().check(Some(&Access::ReadOnly), false, &[]);
        assert_eq!(unsafe_method, missing("employees:write"));
        assert_eq!(check("scope=employees:read", Some(&Access::ReadOnly)), Ok(()));
        assert_eq!(check(query, Some(&only(&["billing:see"]))), missing("billing:pay"));
        assert_eq!(check("api=billing", Some(&only(&["billing:see"]))), Ok(()));
        assert_eq!(check("api=billing", Some(&only(&["employees:read"]))), Err(AppError::ApiMismatch));
        assert_eq!(check("", Some(&only(&["employees:read"]))), Ok(()));
    }

    #[test]
    fn granted_scopes_are_those_of_the_required_api() {
        let granted = |query: &str, access: &Access| parse(query).unwrap().granted(access, &[billing()]);
        assert_eq!(granted("api=billing", &Access::Full), "billing:pay billing:see");
        assert_eq!(granted("api=billing", &Access::ReadOnly), "billing:see");
        assert_eq!(
            granted("api=billing&scope=profile:read", &only(&["billing:see", "profile:read"])),
            "billing:see profile:read"
        );
        assert_eq!(granted("", &only(&["billing:see", "profile:read"])), "profile:read billing:see");
        assert_eq!(granted("scope=billing:pay", &Access::ReadOnly), "employees:read profile:read billing:pay");
    }
}
