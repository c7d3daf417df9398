//! Server functions, as the pages call them, and a browser that is signed in.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use keyfob::server::auth::random::make_id;
use keyfob::server::clock::Clock;

use crate::support::http::{Connection, header, request};
use crate::support::machines::KEYFOB;

/// A call of a server function by a page of the site.
pub fn form(function: &str, cookie: &str, fields: &str) -> Vec<u8> {
    let cookie = format!("Cookie: {cookie}");
    let headers = [
        "Content-Type: application/x-www-form-urlencoded",
        "Accept: application/json",
        "Sec-Fetch-Site: same-origin",
        &cookie,
    ];
    request(&format!("POST /fn/{function}"), &headers, fields)
}

/// Makes an account with the password of all tests.
pub fn make_user(url: &str, email: &str) {
    let mut command = Command::new(KEYFOB);
    command.args(["user", "create", "--email", email, "--password-stdin"]);
    command.env_clear().env("DATABASE_URL", url).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"four words for tests\n").unwrap();
    assert!(child.wait().unwrap().success());
}

/// The bytes of a sign-in.
pub fn sign_in_form(email: &str) -> Vec<u8> {
    form("sign_in", "", &format!("email={}&password=four+words+for+tests", email.replace('@', "%40")))
}

/// A browser that is signed in.
#[derive(Clone)]
pub struct Browser {
    cookie: String,
}

impl Browser {
    /// Makes an account, and signs in.
    pub async fn sign_in(addr: SocketAddr, url: &str) -> Self {
        make_user(url, "eve@example.com");
        let mut connection = Connection::open(addr).await.unwrap();
        let status = connection.ask(&sign_in_form("eve@example.com")).await.unwrap();
        assert_eq!(status, 200, "{}", connection.text());
        Self::from_answer(&connection.text())
    }

    /// Takes the cookie of an answer to a sign-in.
    pub fn from_answer(text: &str) -> Self {
        Self { cookie: header(text, "set-cookie").unwrap().split(';').next().unwrap().to_owned() }
    }

    /// The bytes of a request for a page.
    pub fn page(&self, path: &str) -> Vec<u8> {
        request(&format!("GET {path}"), &["Accept: text/html", &format!("Cookie: {}", self.cookie)], "")
    }

    /// The bytes of a request for one more key.
    pub fn create_key(&self) -> Vec<u8> {
        let id = make_id(Clock::system().now());
        let fields = "form%5Bname%5D=x&form%5Bexpires%5D=90&form%5Bdate%5D=&form%5Baccess%5D=full";
        form("create_key", &self.cookie, &format!("form%5Bform_id%5D={id}&{fields}"))
    }
}
