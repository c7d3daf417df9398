//! Charts as inline SVG. What they show stands in a text and a table, too; they are hidden from screen readers.

use std::fmt::Write as _;

use leptos::prelude::*;

/// Bars side by side, each of two parts, the second on top of the first: one pixel wide and one apart, so high as the
/// largest is the whole height.
#[component]
pub fn Bars(values: Vec<(i64, i64)>) -> impl IntoView {
    const HEIGHT: i64 = 24;
    let most = values.iter().map(|(lower, upper)| lower + upper).max().unwrap_or(0).max(1);
    let width = values.len() * 4;
    let (mut lower_bars, mut upper_bars) = (String::new(), String::new());
    for (n, (lower, upper)) in values.into_iter().enumerate() {
        let (x, high) = (n * 4, |value: i64| (value * HEIGHT + most - 1) / most);
        let (lower, both) = (high(lower), high(lower + upper));
        if lower > 0 {
            let _ = write!(lower_bars, "M{x} {HEIGHT}v-{lower}h3v{lower}z");
        }
        if both > lower {
            let _ = write!(upper_bars, "M{x} {}v-{1}h3v{1}z", HEIGHT - lower, both - lower);
        }
    }
    view! {
        <svg class="bars" viewBox=format!("0 0 {width} {HEIGHT}") width=width height=HEIGHT aria-hidden="true">
            <path class="bar" d=lower_bars/>
            <path class="bar-bad" d=upper_bars/>
        </svg>
    }
}
