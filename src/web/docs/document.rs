//! The document around a page of the documentation. It has no script.

use leptos::prelude::*;
use pulldown_cmark::HeadingLevel;

use super::library::{Page, library};
use crate::app::Footer;
use crate::model::theme::Theme;
use crate::pages::theme::ShownTheme;
use crate::ui::layout::{AppShell, Brand, HeadBasics};

/// Headings from which a page has a table of contents.
const MIN_CONTENTS: usize = 3;

/// Renders the document of a page.
pub fn document(page: &'static Page, stylesheet: String) -> impl IntoView {
    let theme = use_context::<Theme>().unwrap_or_default();
    provide_context(ShownTheme(RwSignal::new(theme)));
    view! {
        <html lang="en" data-theme=theme.attribute()>
            <head>
                <HeadBasics title=format!("{} · Keyfob", page.title) stylesheet/>
                <meta name="description" content=page.description.clone()/>
            </head>
            <body>
                <AppShell nav=view! { <Brand/> <Topics current=&page.path/> }.into_any() footer=view! { <Footer/> }.into_any()>
                    <div class="doc">
                        <Contents page/>
                        <article class="doc-text" inner_html=page.html.clone()></article>
                    </div>
                    <Neighbours path=&page.path/>
                </AppShell>
            </body>
        </html>
    }
}

/// The navigation. Small screens show only the link to all pages.
#[component]
fn Topics(current: &'static str) -> impl IntoView {
    let link = |(label, path): &'static (&'static str, String)| {
        view! { <li><a href=path.as_str() class="nav-link" aria-current=(path == current).then_some("page")>{*label}</a></li> }
    };
    let groups = library().groups.iter().map(|group| {
        view! {
            <p class="doc-group">{group.title}</p>
            <ul>{group.links.iter().map(link).collect_view()}</ul>
        }
    });
    view! {
        <nav aria-label="Documentation" class="nav-links doc-nav">
            <a href="/docs" class="nav-link" aria-current=(current == "/docs").then_some("page")>"All docs"</a>
            <div class="doc-topics">{groups.collect_view()}</div>
        </nav>
    }
}

/// The table of contents of a page.
#[component]
fn Contents(page: &'static Page) -> impl IntoView {
    let headings: Vec<_> = page.headings.iter().filter(|heading| heading.level == HeadingLevel::H2).collect();
    let link = |heading: &'static super::markdown::Heading| {
        view! { <li><a href=format!("#{}", heading.id)>{heading.text.as_str()}</a></li> }
    };
    (headings.len() >= MIN_CONTENTS && page.path != "/docs").then(|| {
        view! {
            <nav class="doc-contents" aria-labelledby="contents">
                <p id="contents">"On this page"</p>
                <ul>{headings.into_iter().map(link).collect_view()}</ul>
            </nav>
        }
    })
}

/// Links to the pages before and after this one.
#[component]
fn Neighbours(path: &'static str) -> impl IntoView {
    let [previous, next] = library().neighbours(path);
    let link = |(label, path): &'static (&'static str, String), rel, word| {
        view! { <a href=path.as_str() rel=rel class="btn">{word} {*label}</a> }
    };
    view! {
        <nav class="doc-steps" aria-label="Previous and next page">
            {previous.map(|page| link(page, "prev", "Previous: "))}
            {next.map(|page| link(page, "next", "Next: "))}
        </nav>
    }
}
