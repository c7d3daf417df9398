//! The message about the action that led to a page: `?done=saved`. Every page shows it in the same place.

use leptos::prelude::*;

use super::QueryParams;

/// The message, until the next page.
#[component]
pub fn DoneNotice() -> impl IntoView {
    let query = QueryParams::from_context();
    let text = move || {
        let query = query.get();
        sentence(&query.text("done"), query.get("n").and_then(|n| n.parse().ok()))
    };
    view! { <p role="status" class="done toast">{text}</p> }
}

/// Returns the sentence for a code. Anyone can craft a link, so the query only selects a sentence and a number.
fn sentence(code: &str, number: Option<u16>) -> Option<String> {
    let fixed = match (code, number) {
        ("revoked", Some(n)) if n > 1 => return Some(format!("{n} keys were revoked.")),
        ("signed-out", Some(n)) if n > 1 => return Some(format!("{n} other sessions were signed out.")),
        ("revoked", _) => "Key revoked.",
        ("saved", _) => "Saved.",
        ("password", _) => "Password changed. Your other sessions were signed out.",
        ("reset", _) => "Password changed. Sign in with the new one.",
        ("email", _) => "Email address changed. Your other sessions were signed out.",
        ("account-deleted", _) => "Your account was deleted.",
        ("delete-user", _) => "User deleted.",
        ("signed-out", Some(1)) => "1 other session was signed out.",
        ("signed-out", _) => "You have no other sessions.",
        ("session", _) => "Session ended.",
        ("added", _) => "Employee added.",
        ("deleted", _) => "Employee deleted.",
        ("samples", _) => "Sample employees added.",
        ("disable", _) => "User disabled. Their sessions ended and their keys are rejected.",
        ("enable", _) => "User enabled.",
        ("promote", _) => "User is now a superuser.",
        ("demote", _) => "User is no longer a superuser.",
        ("api-added", _) => "API added.",
        ("api-removed", _) => "API removed. Keys that are limited to it are rejected.",
        ("scope-added", _) => "Scope added.",
        ("scope-removed", _) => "Scope removed.",
        ("left", _) => "You left the team.",
        ("invited", _) => {
            "Invitation created. It's open for 14 days. No email is sent, so ask them to accept it on their Teams page."
        }
        ("cancelled", _) => "Invitation cancelled.",
        ("joined", _) => "You joined the team.",
        ("declined", _) => "Invitation declined.",
        ("role", _) => "Role changed.",
        ("removed", _) => "Member removed. Their keys for this team were revoked.",
        _ => return None,
    };
    Some(fixed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_selects_a_fixed_sentence_and_a_number() {
        assert_eq!(sentence("revoked", None).unwrap(), "Key revoked.");
        assert_eq!(sentence("revoked", Some(3)).unwrap(), "3 keys were revoked.");
        assert_eq!(sentence("signed-out", Some(0)).unwrap(), "You have no other sessions.");
        assert_eq!(sentence("You won a prize", Some(1)), None);
    }
}
