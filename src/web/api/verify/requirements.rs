//! Requirements that the proxy states in the query of the verify endpoint.

use std::borrow::Cow;

use url::form_urlencoded;

use crate::model::fields::FieldErrors;
use crate::model::redact::redact;
use crate::server::apis::requirement::ApiRequirement;

/// Every parameter of the query.
const PARAMETERS: [&str; 5] = ["team", "api", "scope", "session", "for"];
/// Longest part of an unknown parameter's name that an error repeats, in characters.
const SHOWN_NAME_MAX: usize = 40;

/// Requirements that a request must meet before the proxy forwards it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Requirements<'q> {
    /// Slug of the team; empty for none.
    pub team: Cow<'q, str>,
    pub apis: ApiRequirement<'q>,
    /// Whether `?session=deny` rules out sessions.
    pub denies_sessions: bool,
    /// Whether `?for=nginx` asks for answers that `auth_request` can pass on.
    pub is_for_nginx: bool,
}

impl<'q> Requirements<'q> {
    /// Parses the query. Unknown parameters and empty values are errors, because ignoring one would open what it was meant to
    /// protect.
    pub fn parse(query: &'q str) -> Result<Self, FieldErrors> {
        let (mut requirements, mut errors) = (Self::default(), FieldErrors::default());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "team" if value.is_empty() => errors.add("team", "Name the team, or leave the parameter out."),
                "team" if !requirements.team.is_empty() => errors.add("team", "Name one team."),
                "team" => requirements.team = value,
                "api" => {
                    errors.take("api", requirements.apis.require_api(value));
                }
                "scope" => {
                    errors.take("scope", requirements.apis.require_scope(value));
                }
                "session" if value == "deny" => requirements.denies_sessions = true,
                "session" => errors.add("session", "Unknown value. Known: deny."),
                "for" if value == "nginx" => requirements.is_for_nginx = true,
                "for" => errors.add("for", "Unknown value. Known: nginx."),
                unknown => errors.add(&shorten(unknown), known_parameters()),
            }
            if errors.is_full() {
                break;
            }
        }
        if errors.is_empty() { Ok(requirements) } else { Err(errors) }
    }
}

/// Whether the answer is for nginx (`?for=nginx`), also where the rest of the query is wrong.
pub fn is_for_nginx(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "for" && value == "nginx")
}

fn known_parameters() -> String {
    format!("Unknown parameter. Known: {}.", PARAMETERS.join(", "))
}

/// Returns the name of an unknown parameter for an error. It is redacted first: half a key would no longer look like a key.
fn shorten(name: &str) -> String {
    redact(name).chars().take(SHOWN_NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_with_errors(query: &str) -> Vec<String> {
        let errors = Requirements::parse(query).unwrap_err();
        errors.fields().map(|(field, _)| field.to_owned()).collect()
    }

    #[test]
    fn unknown_parameters_and_values_are_rejected() {
        for (query, fields) in [
            ("teams=red", &["teams"][..]),
            ("Team=red", &["Team"]),
            ("=x", &[""]),
            ("team=", &["team"]),
            ("team=red&team=red", &["team"]),
            ("scope=", &["scope"]),
            ("scope=employees", &["scope"]),
            ("scope=employees:read,employees:write", &["scope"]),
            ("session=allow", &["session"]),
            ("for=apache", &["for"]),
            ("team=red&x=1&for=", &["x", "for"]),
        ] {
            assert_eq!(fields_with_errors(query), fields, "{query}");
        }
        assert_eq!(fields_with_errors(&"x".repeat(100)), ["x".repeat(SHOWN_NAME_MAX)]);
        let many: String = (0..1000).flat_map(|n| [n.to_string(), "=1&".to_owned()]).collect();
        assert!(fields_with_errors(&many).len() <= 21);
    }

    #[test]
    fn errors_list_what_is_known() {
        let sentence = |query| Requirements::parse(query).unwrap_err().sentences().next().unwrap().to_owned();
        assert_eq!(sentence("x=1"), "Unknown parameter. Known: team, api, scope, session, for.");
        assert!(sentence("scope=x").contains("employees:read, employees:write"));
    }

    #[test]
    fn requirements_are_parsed() {
        assert_eq!(Requirements::parse(""), Ok(Requirements::default()));
        let query = "team=red&scope=employees:read&scope=key%3Arotate&scope=employees:read&session=deny&for=nginx";
        let parsed = Requirements::parse(query).unwrap();
        assert_eq!((&*parsed.team, parsed.denies_sessions, parsed.is_for_nginx), ("red", true, true));
        let mut apis = ApiRequirement::default();
        for scope in ["employees:read", "key:rotate"] {
            apis.require_scope(scope.into()).unwrap();
        }
        assert_eq!(parsed.apis, apis);
        assert!(!is_for_nginx("for=x&nginx=for") && is_for_nginx("x=1&for=nginx"));
    }
}
