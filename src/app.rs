//! The site map: the document around every page, the navigation, and the routes.

use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::hooks::use_location;
use leptos_router::{SsrMode, path};

use crate::model::users::User;
use crate::pages::docs::ErrorsPage;
use crate::pages::employees::EmployeesPage;
use crate::pages::home::{HomePage, NotFoundPage};
use crate::pages::profile::ProfilePage;
use crate::pages::sign_in::{SignInPage, SignOutButton, SignUpPage, whoami};
use crate::pages::{load, ready};
use crate::ui::layout::{Brand, Frame, NavLink};

/// The document around every page. `version` is the path under which the browser's files are.
#[must_use]
pub fn shell(options: &LeptosOptions, version: &str) -> impl IntoView + use<> {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Create, use and revoke API keys."/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href=format!("{version}/pkg/keyfob.css")/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options=options.clone() root=version.to_owned()/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// All pages.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|page: String| if page.is_empty() { "Keyfob".to_owned() } else { format!("{page} · Keyfob") }/>
        <Router>
            <Frame nav=move || view! { <Nav/> }>
                <Routes fallback=NotFoundPage>
                    <Route path=path!("/") view=HomePage ssr=SsrMode::Async/>
                    <Route path=path!("/sign-up") view=SignUpPage ssr=SsrMode::Async/>
                    <Route path=path!("/sign-in") view=SignInPage ssr=SsrMode::Async/>
                    <Route path=path!("/profile") view=ProfilePage ssr=SsrMode::Async/>
                    <Route path=path!("/employees") view=EmployeesPage ssr=SsrMode::Async/>
                    <Route path=path!("/docs/errors") view=ErrorsPage ssr=SsrMode::Async/>
                </Routes>
            </Frame>
        </Router>
    }
}

/// Who is signed in, where they can go, and the way out. Asked anew for each page, for a session may have ended.
#[component]
fn Nav() -> impl IntoView {
    let path = use_location().pathname;
    let visitor = load(move || path.get(), |_| whoami());
    view! {
        <Transition>
            {move || Suspend::new(async move {
                match ready(visitor).await {
                    Ok(Some(user)) => view! { <UserNav user/> }.into_any(),
                    _ => view! { <Brand/> }.into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn UserNav(user: User) -> impl IntoView {
    view! {
        <Brand/>
        <nav aria-label="Main" class="nav-links">
            <NavLink href="/profile" label="Profile"/>
            <NavLink href="/employees" label="Employees"/>
        </nav>
        <div class="nav-user">
            <bdi class="nav-name">{user.label().to_owned()}</bdi>
            <SignOutButton/>
        </div>
    }
}
