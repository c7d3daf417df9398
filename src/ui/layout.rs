//! The frame around every page: one column of navigation and the content.

use leptos::prelude::*;

/// The frame: a link past the navigation, the navigation, the content.
#[component]
pub fn Frame(nav: AnyView, children: Children) -> impl IntoView {
    view! {
        <a href="#content" class="skip-link">"Skip to content"</a>
        <div class="frame">
            <header class="frame-nav">{nav}</header>
            <main id="content" class="frame-content" tabindex="-1">{children()}</main>
        </div>
    }
}

/// The name of the product, and the way home.
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

/// One entry of the navigation.
#[component]
pub fn NavLink(href: &'static str, label: &'static str, current: bool) -> impl IntoView {
    view! { <a href=href class="nav-link" aria-current=current.then_some("page")>{label}</a> }
}

/// A page's heading and the line below it.
#[component]
pub fn PageHead(title: &'static str, lead: &'static str) -> impl IntoView {
    view! {
        <div class="page-head">
            <h1>{title}</h1>
            <p>{lead}</p>
        </div>
    }
}

/// A headed block of a page. `action` stands beside the heading.
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

/// What stands in the browser's tab. Not as a child: Leptos marks where a text ends, and within a title marks are shown.
#[component]
pub fn DocumentTitle(text: String) -> impl IntoView {
    view! { <title inner_html=text.replace('&', "&amp;").replace('<', "&lt;")></title> }
}

/// A document of its own, without navigation and without the browser's side: for what is shown once, and for what went
/// wrong before there was a page.
#[component]
pub fn PlainDocument(title: &'static str, stylesheet: String, children: Children) -> impl IntoView {
    view! {
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <DocumentTitle text=format!("{title} · Keyfob")/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="stylesheet" href=stylesheet/>
            </head>
            <body>
                <main class="narrow">
                    <h1>{title}</h1>
                    {children()}
                </main>
            </body>
        </html>
    }
}
