//! The layout of every page: navigation and content.

use leptos::prelude::*;

use super::navigate;
use super::navigate::ANNOUNCER;
use crate::model::theme::Theme;

/// The skip link, the navigation, the content and the footer.
#[component]
pub fn AppShell(nav: AnyView, footer: AnyView, children: Children) -> impl IntoView {
    view! {
        <a href="#content" class="skip-link">"Skip to content"</a>
        <div class="frame">
            <header class="frame-nav">{nav}</header>
            <main id="content" class="frame-content" tabindex="-1">{children()}</main>
            <footer class="frame-footer">{footer}</footer>
        </div>
        <div id=ANNOUNCER aria-live="polite" class="sr-only"></div>
    }
}

/// The product name, linked to the home page.
#[component]
pub fn Brand() -> impl IntoView {
    view! {
        <a href="/" class="brand">
            <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
                <path
                    fill="none"
                    stroke="currentColor"
                    stroke-width="3"
                    stroke-linecap="round"
                    d="M12 21a6.5 6.5 0 1 1 5.6-3.2L27 27m-4.5 0 3-3"
                />
            </svg>
            "Keyfob"
        </a>
    }
}

/// A link in the navigation.
#[component]
pub fn NavLink(href: &'static str, label: &'static str, current: bool) -> impl IntoView {
    view! { <a href=href class="nav-link" aria-current=current.then_some("page")>{label}</a> }
}

/// The heading of a page, and the line below it.
#[component]
pub fn PageHead(title: &'static str, lead: &'static str) -> impl IntoView {
    view! {
        <div class="page-head">
            <h1>{title}</h1>
            <p>{lead}</p>
        </div>
    }
}

/// Content below the first screen. After a click it is rendered one frame later than the rest, which then shows sooner.
#[component]
pub fn BelowTheFold(children: ChildrenFn) -> impl IntoView {
    let is_shown = RwSignal::new(true);
    let show = move || {
        // The page may be left within the frame.
        let _ = is_shown.try_set(true);
    };
    if navigate::after_paint(show) {
        is_shown.set(false);
    }
    move || is_shown.get().then(|| children())
}

/// A section with a heading. `action` is next to the heading.
#[component]
pub fn Section(
    id: &'static str,
    title: &'static str,
    #[prop(optional)] action: Option<AnyView>,
    children: Children,
) -> impl IntoView {
    view! {
        <section class="section" aria-labelledby=id>
            <div class="section-head">
                <h2 id=id>{title}</h2>
                {action}
            </div>
            {children()}
        </section>
    }
}

/// The part of the head that every document has.
#[component]
pub fn HeadBasics(title: String, stylesheet: String) -> impl IntoView {
    // No child node: a title would show the markers that Leptos puts after text.
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    view! {
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <title inner_html=title></title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
        <link rel="stylesheet" href=stylesheet/>
    }
}

/// A document without navigation and without the WebAssembly program: for what is shown once, and for errors before a page.
#[component]
pub fn PlainDocument(title: &'static str, stylesheet: String, children: Children) -> impl IntoView {
    let theme = use_context::<Theme>().unwrap_or_default();
    view! {
        <html lang="en" data-theme=theme.attribute()>
            <head><HeadBasics title=format!("{title} · Keyfob") stylesheet/></head>
            <body>
                <main class="narrow">
                    <h1>{title}</h1>
                    {children()}
                </main>
            </body>
        </html>
    }
}
