//! The document around every page, and the navigation.
//!
//! The server matches, guards and loads each page, for a document and for the browser, which renders it again in place: see
//! [`navigate`]. Forms are sent by [`form`].

use leptos::nonce::use_nonce;
use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::own_link::OwnLink;
use crate::model::text::isolated;
use crate::model::theme::Theme;
use crate::model::users::{PAGE_USER_PATH, User};
use crate::model::wire;
use crate::pages::keys::reveal::NewKeyShown;
use crate::pages::notice::DoneNotice;
use crate::pages::reauth::{ConfirmPassword, Reauth, ReauthDialog};
use crate::pages::sign_in::{SignIn, SignOutButton};
use crate::pages::theme::{SetTheme, ShownTheme, ThemeSwitch};
use crate::pages::{Page, PageData, QueryParams};
use crate::ui::feedback::{FailedForm, LastFailure, UnreachableNotice};
use crate::ui::field::RenderedFor;
use crate::ui::layout::{AppShell, Brand, HeadBasics, NavLink};
use crate::ui::time::ReaderClock;
use crate::ui::{browser, form, navigate};

/// Renders the document around a page. `version` is the path of the browser's files.
pub fn shell(options: &LeptosOptions, version: &str, data: PageData) -> impl IntoView + use<> {
    let (title, theme) = (document_title(&data), data.theme.attribute());
    let encoded = wire::encode_text(&data);
    view! {
        <html lang="en" data-theme=theme>
            <head>
                <HeadBasics title stylesheet=format!("{version}/pkg/keyfob.css")/>
                <meta name="description" content="Create, use and revoke API keys."/>
                <script type="text/plain" id=navigate::PAGE_DATA_ID data-version=version.to_owned() nonce=use_nonce() inner_html=encoded></script>
                <AutoReload options=options.clone()/>
                <StartProgram version=version.to_owned()/>
            </head>
            <body>
                <App data/>
            </body>
        </html>
    }
}

/// Loads the WebAssembly program after the first paint, so that the download doesn't delay it. Until then, links and forms work
/// without it. Hydration has a task of its own, so that it blocks the page for less time at once. During a rolling upgrade, a
/// server of another version may respond. Its program does not match the page, so the script retries, and after four attempts
/// leaves the page as it is.
const START: &str = r#"(async (version) => {
  const load = async (name) => {
    for (let tries = 0; tries < 4; tries += 1) {
      if (tries > 0) await new Promise((done) => setTimeout(done, 150 * tries));
      const answer = await fetch(`${version}/pkg/${name}`, tries > 0 ? {cache: "reload"} : {});
      const found = answer.headers.get("x-site-version");
      if (answer.ok && (found === null || found === version)) return answer;
    }
  };
  if (!document.hidden) await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const [script, wasm] = await Promise.all([load("keyfob.js"), load("keyfob.wasm")]);
  if (!script || !wasm) return;
  const program = await import(`${version}/pkg/keyfob.js`);
  await program.default({module_or_path: wasm});
  await new Promise((done) => setTimeout(done));
  program.hydrate();
})"#;

#[component]
fn StartProgram(version: String) -> impl IntoView {
    view! {
        <script type="module" nonce=use_nonce() inner_html=format!("{START}({version:?});")></script>
    }
}

/// A page with the navigation around it.
#[component]
pub fn App(data: PageData) -> impl IntoView {
    let failure = LastFailure(RwSignal::new(data.form_error.clone()));
    provide_context(failure);
    let reauth = Reauth::default();
    provide_context(reauth);
    let new_key = NewKeyShown::default();
    provide_context(new_key);
    provide_context(RenderedFor(data.user.as_ref().map(|user| user.id.clone())));
    ReaderClock::provide();
    let email = data.user.as_ref().map(|user| user.email.clone());
    let theme = RwSignal::new(data.theme);
    provide_context(ShownTheme(theme));
    let shown = RwSignal::new(data);
    provide_context(Memo::new(move |_| shown.with(|shown| shown.query.clone())));
    let unreachable = RwSignal::new(None);
    let program = Program { shown, failure, reauth, new_key, theme, unreachable };
    Effect::new(move |_| program.start());

    let nav = Memo::new(move |_| shown.with(NavData::of));
    let nav = move || view! { <Nav nav=nav.get()/> };
    // Another team's page has the same kind of data, but is another page.
    let place = Memo::new(move |_| shown.with(|shown| (std::mem::discriminant(&shown.page), shown.path.clone())));
    let page = move || {
        // Read, not only tracked: a memo that nobody reads has no sources.
        place.read();
        Page::render(shown)
    };
    view! {
        <AppShell nav=view! { <Brand/> {nav} }.into_any() footer=view! { <Footer/> }.into_any()>
            <UnreachableNotice url=unreachable/>
            <DoneNotice/>
            {page}
        </AppShell>
        {email.map(|email| view! { <ReauthDialog email/> })}
    }
}

/// What links and forms change. All of it runs in the browser only.
#[derive(Clone, Copy)]
struct Program {
    shown: RwSignal<PageData>,
    failure: LastFailure,
    reauth: Reauth,
    new_key: NewKeyShown,
    theme: RwSignal<Theme>,
    unreachable: RwSignal<Option<String>>,
}

impl Program {
    /// Lets links and forms change the page.
    fn start(self) {
        let Self { shown, failure: LastFailure(failure), reauth, new_key: NewKeyShown(new_key), theme, unreachable } =
            self;
        let user = shown.with_untracked(|shown| shown.user.as_ref().map(|user| user.id.clone()));
        let prefix = user.as_ref().map_or_else(String::new, |user| format!("{PAGE_USER_PATH}{user}"));
        let show = move |encoded: Vec<u8>| {
            let data: PageData = wire::decode(&encoded)?;
            // A page of another account needs a document: nothing of this one may stay in memory.
            if data.user.as_ref().map(|user| &user.id) != user.as_ref() {
                return None;
            }
            let title = document_title(&data);
            shown.set(data);
            Some(title)
        };
        navigate::start(navigate::Hooks {
            show: Callback::new(show),
            clear_error: Callback::new(move |()| failure.set(None)),
            set_unreachable: Callback::new(move |url| unreachable.set(url)),
        });
        form::start(form::Hooks {
            prefix,
            set_error: Callback::new(move |(action, error): (String, Option<AppError>)| {
                failure.set(error.map(|error| FailedForm { action, error, typed: Vec::new() }));
            }),
            answered: Callback::new(move |(sent, answer): (form::Sent, Vec<u8>)| {
                if sent.action == ConfirmPassword::url() || sent.action == SignIn::url() {
                    reauth.confirmed();
                } else if sent.action == SetTheme::url() {
                    let chosen = Theme::from_name(sent.body.rsplit('=').next().unwrap_or_default());
                    browser::set_theme(chosen.attribute());
                    theme.set(chosen);
                } else if let Some(key) = wire::decode(&answer) {
                    // The dialog with the form is closed, so that a reload does not open it again.
                    shown.update(|shown| shown.query = QueryParams::default());
                    navigate::drop_query();
                    new_key.set(Some(key));
                }
            }),
            reauthenticate: Callback::new(move |error| reauth.ask(&error)),
        });
    }
}

fn document_title(data: &PageData) -> String {
    format!("{} · Keyfob", isolated(data.page.title()))
}

#[component]
pub fn Footer() -> impl IntoView {
    view! {
        <nav aria-label="Reference" class="footer-links">
            <a href="/docs">"Docs"</a>
            <a href="/api/docs">"API docs"</a>
            <a href="/docs/errors">"Errors"</a>
            <span>"Keyfob " {env!("CARGO_PKG_VERSION")}</span>
        </nav>
        <ThemeSwitch/>
    }
}

/// Everything that the navigation is rendered from.
#[derive(Clone, PartialEq)]
pub struct NavData {
    /// The signed-in user; nobody else sees links.
    pub user: Option<User>,
    /// The path of the page, without a trailing slash.
    pub path: String,
    pub own_links: Vec<OwnLink>,
}

impl NavData {
    fn of(data: &PageData) -> Self {
        Self { user: data.user.clone(), path: data.path.clone(), own_links: data.own_links.clone() }
    }
}

/// Renders the document around a page of a program that uses this crate: with navigation, style and footer, and without the
/// WebAssembly program.
pub fn own_document(title: &str, stylesheet: String, nav: NavData, content: AnyView) -> impl IntoView + use<> {
    let theme = use_context::<Theme>().unwrap_or_default();
    provide_context(ShownTheme(RwSignal::new(theme)));
    let title = format!("{} · Keyfob", isolated(title));
    view! {
        <html lang="en" data-theme=theme.attribute()>
            <head><HeadBasics title stylesheet/></head>
            <body>
                <AppShell nav=view! { <Brand/> <Nav nav/> }.into_any() footer=view! { <Footer/> }.into_any()>
                    {content}
                </AppShell>
            </body>
        </html>
    }
}

#[component]
fn Nav(nav: NavData) -> impl IntoView {
    let NavData { user, path, own_links } = nav;
    user.map(|user| view! { <UserNav user path own_links/> })
}

#[component]
fn UserNav(user: User, path: String, own_links: Vec<OwnLink>) -> impl IntoView {
    let link = |href: &'static str, label, below: &str| {
        view! { <NavLink href label current=path == href || path.starts_with(below)/> }
    };
    // The target makes the browser load a document: the program of Keyfob's pages cannot show this one.
    let own_link = |OwnLink { path: href, label }| {
        let current = (path == href || path.starts_with(&format!("{href}/"))).then_some("page");
        view! { <a href=href target="_self" class="nav-link" aria-current=current>{label}</a> }
    };
    let admin = user.superuser.then(|| link("/admin/keys", "Admin", "/admin/"));
    view! {
        <nav aria-label="Main" class="nav-links">
            {link("/profile", "Profile", "/profile/")}
            {link("/employees", "Employees", "/employees/")}
            {link("/teams", "Teams", "/a/")}
            {own_links.into_iter().map(own_link).collect_view()}
            {admin}
            {link("/docs", "Docs", "/docs/")}
            {link("/api/docs", "API docs", "/api/docs/")}
        </nav>
        <div class="nav-user">
            <bdi class="nav-name">{user.label().to_owned()}</bdi>
            <SignOutButton/>
        </div>
    }
}
