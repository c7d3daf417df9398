//! The site map: the document around every page, the navigation, and which component shows which page.
//!
//! Each page is a document of its own that the server finds, guards and renders; links are links. So there is no router in
//! the browser, which would be a quarter of the download, and no page that waits for its data.

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos::server::ServerActionError;

use crate::model::text::isolated;
use crate::model::users::User;
use crate::pages::admin::audit::AdminAuditPage;
use crate::pages::admin::keys::AdminKeysPage;
use crate::pages::admin::users::AdminUsersPage;
use crate::pages::docs::ErrorsPage;
use crate::pages::employees::EmployeesPage;
use crate::pages::home::{HomePage, NotFoundPage};
use crate::pages::profile::ProfilePage;
use crate::pages::reauth::{ReauthDialog, Waiting};
use crate::pages::sign_in::{SignInPage, SignOutButton, SignUpPage};
use crate::pages::teams::{OneTeamPage, TeamsPage};
use crate::pages::{Page, PageData};
use crate::ui::field::RenderedFor;
use crate::ui::layout::{Brand, DocumentTitle, Frame, NavLink};

/// The id of the element that holds the [`PageData`] as JSON.
pub const PAGE_DATA_ID: &str = "visit";

/// The document around every page. `version` is the path under which the browser's files are.
#[must_use]
pub fn shell(options: &LeptosOptions, version: &str, visit: PageData) -> impl IntoView + use<> {
    let title = format!("{} · Keyfob", isolated(visit.page.title()));
    // Within a script only what ends it has a meaning.
    let data = serde_json::to_string(&visit).unwrap_or_default().replace('<', "\\u003c");
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
                <script type="application/json" id=PAGE_DATA_ID nonce=use_nonce() inner_html=data></script>
                <AutoReload options=options.clone()/>
                <Program version=version.to_owned()/>
            </head>
            <body>
                <App visit/>
            </body>
        </html>
    }
}

/// Loads the program of the page, and starts it. While servers are upgraded one by one, another version may answer: its
/// program is not started, for it would not know the page. Then the script asks again, and at last leaves the page as it is.
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

/// Any page, in its frame.
#[component]
pub fn App(visit: PageData) -> impl IntoView {
    let PageData { user, path, asked, page, told } = visit;
    // How a form that was sent without JavaScript learns what is wrong with it.
    if let Some(told) = told {
        provide_context(ServerActionError::new(&told.function, &told.error));
    }
    provide_context(asked);
    provide_context(RenderedFor(user.as_ref().map(|user| user.id.clone())));
    provide_context(Waiting::default());
    let nav = user.clone().map(|user| view! { <UserNav user path/> });
    let content = match page {
        Page::Home { origin, sign_up } => view! { <HomePage origin sign_up signed_in=user.is_some()/> }.into_any(),
        Page::SignUp(entrance) => view! { <SignUpPage entrance/> }.into_any(),
        Page::SignIn(entrance) => view! { <SignInPage entrance/> }.into_any(),
        Page::Profile { keys, sessions, activity } => view! { <ProfilePage user keys sessions activity/> }.into_any(),
        Page::Employees { list, team } => view! { <EmployeesPage list team/> }.into_any(),
        Page::Teams { teams, invitations } => view! { <TeamsPage teams invitations/> }.into_any(),
        Page::Team(page) => view! { <OneTeamPage page=*page/> }.into_any(),
        Page::AdminKeys(page) => view! { <AdminKeysPage page/> }.into_any(),
        Page::AdminUsers(page) => view! { <AdminUsersPage page/> }.into_any(),
        Page::AdminAudit(page) => view! { <AdminAuditPage page/> }.into_any(),
        Page::Errors => view! { <ErrorsPage/> }.into_any(),
        Page::NotFound => view! { <NotFoundPage/> }.into_any(),
    };
    view! {
        <Frame nav=view! { <Brand/> {nav} }.into_any()>{content}</Frame>
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
