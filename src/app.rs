//! The document around every page, and the navigation.
//!
//! The server matches, guards and renders each page, and links are plain links. There is no router in the browser: it would
//! be a quarter of the download.

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos::server::ServerActionError;

use crate::model::text::isolated;
use crate::model::users::User;
use crate::pages::PageData;
use crate::pages::reauth::{Reauth, ReauthDialog};
use crate::pages::sign_in::SignOutButton;
use crate::ui::field::RenderedFor;
use crate::ui::layout::{AppShell, Brand, DocumentTitle, NavLink};

/// The id of the element that holds the [`PageData`] as JSON.
pub const PAGE_DATA_ID: &str = "visit";

/// Renders the document around a page. `version` is the path of the browser's files.
pub fn shell(options: &LeptosOptions, version: &str, data: PageData) -> impl IntoView + use<> {
    let title = format!("{} · Keyfob", isolated(data.page.title()));
    // The JSON must not end the script element.
    let json = serde_json::to_string(&data).unwrap_or_default().replace('<', "\\u003c");
    view! {
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Create, use and revoke API keys."/>
                <DocumentTitle text=title/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href=format!("{version}/pkg/keyfob.css")/>
                <script type="application/json" id=PAGE_DATA_ID nonce=use_nonce() inner_html=json></script>
                <AutoReload options=options.clone()/>
                <Program version=version.to_owned()/>
            </head>
            <body>
                <App data/>
            </body>
        </html>
    }
}

/// Loads and starts the WebAssembly program. During a rolling upgrade, a server of another version may respond. Its program
/// does not match the page, so the script retries, and after four attempts leaves the page as it is.
const START: &str = r#"(async (version) => {
  const load = async (name) => {
    for (let tries = 0; tries < 4; tries += 1) {
      if (tries > 0) await new Promise((done) => setTimeout(done, 150 * tries));
      const answer = await fetch(`${version}/pkg/${name}`, tries > 0 ? {cache: "reload"} : {});
      const found = answer.headers.get("x-site-version");
      if (answer.ok && (found === null || found === version)) return answer;
    }
  };
  const [script, wasm] = await Promise.all([load("keyfob.js"), load("keyfob.wasm")]);
  if (!script || !wasm) return;
  const program = await import(`${version}/pkg/keyfob.js`);
  await program.default({module_or_path: wasm});
  program.hydrate();
})"#;

#[component]
fn Program(version: String) -> impl IntoView {
    let file = |name| format!("{version}/pkg/{name}");
    view! {
        <link rel="preload" href=file("keyfob.js") r#as="fetch" crossorigin="anonymous"/>
        <link rel="preload" href=file("keyfob.wasm") r#as="fetch" r#type="application/wasm" crossorigin="anonymous"/>
        <script type="module" nonce=use_nonce() inner_html=format!("{START}({version:?});")></script>
    }
}

/// A page with the navigation around it.
#[component]
pub fn App(data: PageData) -> impl IntoView {
    let PageData { user, path, query, page, form_error } = data;
    if let Some(error) = form_error {
        provide_context(ServerActionError::new(&error.function, &error.error));
    }
    provide_context(query);
    provide_context(RenderedFor(user.as_ref().map(|user| user.id.clone())));
    provide_context(Reauth::default());
    let nav = user.map(|user| view! { <UserNav user path/> });
    view! {
        <AppShell nav=view! { <Brand/> {nav} }.into_any()>{page.render()}</AppShell>
        <ReauthDialog/>
    }
}

#[component]
fn UserNav(user: User, path: String) -> impl IntoView {
    let link = |href: &'static str, label, below: &str| {
        view! { <NavLink href label current=path == href || path.starts_with(below)/> }
    };
    let admin = user.superuser.then(|| link("/admin/keys", "Admin", "/admin/"));
    view! {
        <nav aria-label="Main" class="nav-links">
            {link("/profile", "Profile", "/profile/")}
            {link("/employees", "Employees", "/employees/")}
            {link("/teams", "Teams", "/a/")}
            {admin}
        </nav>
        <div class="nav-user">
            <bdi class="nav-name">{user.label().to_owned()}</bdi>
            <SignOutButton/>
        </div>
    }
}
