//! A client that sends requests through the router, and what it gets back.

use std::net::{IpAddr, SocketAddr};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use keyfob::error::AppError;
use keyfob::model::redact::redact;
use keyfob::web::router::WebService;
use serde_json::Value;
use tower::ServiceExt;

use super::trail;

/// Sends requests, each with the same headers.
#[derive(Clone)]
pub struct Client {
    router: WebService,
    headers: HeaderMap,
    address: Option<SocketAddr>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// The body before it was read as text.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, headers, body, .. } = self;
        f.debug_struct("Answer").field("status", status).field("headers", headers).field("body", body).finish()
    }
}

impl Client {
    pub fn of(router: WebService) -> Self {
        Self { router, headers: HeaderMap::new(), address: None }
    }

    /// The same client with one more header; a second one of the same name stands beside the first.
    pub fn with(&self, name: &str, value: &str) -> Self {
        self.with_bytes(name, value.as_bytes())
    }

    /// The same, for a value that need not be text.
    pub fn with_bytes(&self, name: &str, value: &[u8]) -> Self {
        let mut client = self.clone();
        client.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
        client
    }

    /// The same client on a machine with this address; without, nobody knows where it is.
    pub fn coming_from(&self, ip: &str) -> Self {
        let address = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 40_000);
        Self { address: Some(address), ..self.clone() }
    }

    /// The same client without a header.
    pub fn without(&self, name: &str) -> Self {
        let mut client = self.clone();
        client.headers.remove(name);
        client
    }

    /// The same browser, told by a page of another site to send the request.
    pub fn on_another_site(&self) -> Self {
        let client = self.without("sec-fetch-site").without("origin");
        client.with("sec-fetch-site", "cross-site").with("origin", "https://evil.example")
    }

    /// The same client with a key as the seed's clients send it.
    pub fn with_key(&self, key: &str) -> Self {
        self.with("authorization", &format!("Api-Key {key}"))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, Body::empty())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, Body::empty())).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        self.text(method, path, &body.to_string()).await
    }

    /// A body that says that it is JSON, whatever it is.
    pub async fn text(&self, method: Method, path: &str, body: &str) -> Answer {
        self.typed(method, path, "application/json", body).await
    }

    /// A body and what it says that it is.
    pub async fn typed(&self, method: Method, path: &str, kind: &str, body: &str) -> Answer {
        let mut request = request(method, path, Body::from(body.to_owned()));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        self.send(request).await
    }

    /// A request without a body.
    pub async fn bare(&self, method: Method, path: &str) -> Answer {
        self.send(request(method, path, Body::empty())).await
    }

    /// A form, as a browser sends one by itself.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let answer = self.typed(Method::POST, path, "application/x-www-form-urlencoded", &body).await;
        let passwords = fields.iter().filter(|(name, _)| matches!(*name, "password" | "current" | "new"));
        passwords.filter(|(_, value)| trail::is_telling(value)).for_each(|(_, value)| trail::secret(value));
        answer
    }

    /// A server function, called by the page's script.
    pub async fn call(&self, function: &str, fields: &[(&str, &str)]) -> Answer {
        self.with("accept", "application/json").form(&format!("/fn/{function}"), fields).await
    }

    /// A server function of administrators.
    pub async fn call_admin(&self, function: &str, fields: &[(&str, &str)]) -> Answer {
        self.with("accept", "application/json").form(&format!("/admin/fn/{function}"), fields).await
    }

    /// A server function, called by a form on a page without JavaScript.
    pub async fn submit(&self, page: &str, function: &str, fields: &[(&str, &str)]) -> Answer {
        let client = self.with("accept", "text/html,application/xhtml+xml,*/*;q=0.8").with("referer", page);
        client.form(&format!("/fn/{function}"), fields).await
    }

    /// Any request; the client's headers are added to its own.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        if let Some(address) = self.address {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        let path = request.uri().path().to_owned();
        let response = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body, bytes };
        answer.leave_trail(&path);
        answer
    }

    /// Opens a page, as a browser does.
    pub async fn open(&self, path: &str) -> Answer {
        self.with("accept", "text/html,application/xhtml+xml,*/*;q=0.8").get(path).await
    }

    /// The same browser, which also keeps the cookies of an answer.
    pub fn keeping(&self, answer: &Answer) -> Self {
        let cookies = answer.all("set-cookie").into_iter().map(|cookie| cookie.split(';').next().unwrap());
        cookies.fold(self.clone(), |client, cookie| client.with("cookie", cookie))
    }

    /// The same browser with the session that an answer gave it.
    pub fn after(&self, answer: &Answer) -> Self {
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        self.without("cookie").with("cookie", &cookie)
    }
}

pub fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(path).body(body).unwrap()
}

/// The answers that have a secret in them, once: the new key or link.
const TOLD_ONCE: [&str; 6] = [
    "/fn/create_key",
    "/fn/rotate_key",
    "/profile/keys",
    "/profile/keys/rotate",
    "/api/v1/key/rotate",
    "/admin/users/reset-link",
];

impl Answer {
    /// Notes the secrets that came with it, and leaves the rest on the trail.
    fn leave_trail(&self, path: &str) {
        for cookie in self.all("set-cookie") {
            let value = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
            // The colours of pages are no secret.
            if !value.is_empty() && !cookie.starts_with("theme=") {
                trail::secret(value);
            }
        }
        // The documents show a key that never existed.
        if !path.starts_with("/docs") {
            trail::keys(&self.body);
        }
        let mut headers = self.headers.clone();
        headers.remove("set-cookie");
        let told = self.status == 200 && TOLD_ONCE.contains(&path.trim_end_matches('/')) || path.starts_with("/docs/");
        // The path is the client's own; a test may put a key into it.
        let path = redact(path);
        trail::write("answers", &format!("{path} {} {headers:?} {}", self.status, if told { "" } else { &self.body }));
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).into_iter().map(|value| value.to_str().unwrap()).collect()
    }

    /// Fails unless the answer has this status; gives it back.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Fails unless the answer is a whole refusal of the JSON API with this status and code; gives its body.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        assert!(problem["type"].as_str().unwrap().ends_with(&format!("/docs/errors#{code}")), "{problem}");
        for text in ["title", "detail", "request_id"] {
            assert!(!problem[text].as_str().unwrap().is_empty(), "{problem}");
        }
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        assert_eq!(self.headers.contains_key("www-authenticate"), matches!(code, "scope_missing") || status == 401);
        assert_eq!(problem.get("errors").is_some(), code == "validation_failed", "{problem}");
        problem
    }

    /// Fails unless the answer is 400 with an error at exactly these fields.
    #[track_caller]
    pub fn invalid(&self, fields: &[&str]) -> Value {
        let problem = self.refused(400, "validation_failed");
        let errors = problem["errors"].as_object().unwrap();
        assert_eq!(errors.keys().map(String::as_str).collect::<Vec<_>>(), fields, "{problem}");
        for sentences in errors.values() {
            let sentences = sentences.as_array().unwrap();
            assert!(
                !sentences.is_empty() && sentences.iter().all(|one| one.as_str().unwrap().ends_with('.')),
                "{problem}"
            );
        }
        problem
    }

    /// Fails unless a server function refused with this status; gives the error as the page's script gets it.
    #[track_caller]
    pub fn failed(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// Fails unless a server function found something wrong with this field; gives the first sentence.
    #[track_caller]
    pub fn failed_at(&self, field: &str) -> String {
        self.failed(400);
        // As the page's script reads it.
        let error: AppError = serde_json::from_str(&self.body).unwrap();
        let sentence = error.fields().and_then(|fields| fields.first(field));
        sentence.unwrap_or_else(|| panic!("nothing at {field} in {error:?}")).to_owned()
    }

    /// Fails unless the answer redirects there.
    #[track_caller]
    pub fn goes_to(&self, location: &str) {
        assert_eq!((self.status, self.header("location")), (302, location), "{self:?}");
    }
}
