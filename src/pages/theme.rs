//! The switch between light and dark, in the footer of every page.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;

use crate::error::AppError;
use crate::model::theme::Theme;

/// Keeps the choice in a cookie.
#[allow(clippy::unused_async, reason = "a server function is async")]
#[server(prefix = "/fn", endpoint = "set_theme")]
pub async fn set_theme(theme: String) -> Result<Theme, AppError> {
    // public: visitors choose it too. It changes nothing on the server.
    crate::server::theme::keep(&theme)
}

/// The theme of the page that is shown. Components take it from the context.
#[derive(Clone, Copy)]
pub struct ShownTheme(pub RwSignal<Theme>);

impl ShownTheme {
    pub fn from_context() -> RwSignal<Theme> {
        use_context::<Self>().map_or_else(|| RwSignal::new(Theme::default()), |shown| shown.0)
    }
}

#[component]
pub fn ThemeSwitch() -> impl IntoView {
    let shown = ShownTheme::from_context();
    let button = move |theme: Theme| {
        let pressed = move || if shown.get() == theme { "true" } else { "false" };
        view! { <button name="theme" value=theme.as_str() class="choice" aria-pressed=pressed>{theme.label()}</button> }
    };
    view! {
        <form method="post" action=SetTheme::url() class="choices">
            <fieldset>
                <legend>"Theme"</legend>
                {Theme::ALL.map(button).collect_view()}
            </fieldset>
        </form>
    }
}
