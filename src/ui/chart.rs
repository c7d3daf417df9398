//! Charts as inline SVG. Screen readers skip them, because a text and a table show the same data.

use std::fmt::Write as _;

use leptos::prelude::*;

/// A bar of two parts, one above the other.
#[derive(Clone, Copy)]
pub struct Bar {
    pub lower: i64,
    pub upper: i64,
}

/// A bar chart, as high as its largest bar.
#[component]
pub fn Bars(bars: Vec<Bar>) -> impl IntoView {
    const HEIGHT: i64 = 24;
    let max = bars.iter().map(|bar| bar.lower + bar.upper).max().unwrap_or(0).max(1);
    let width = bars.len() * 4;
    let (mut lower_bars, mut upper_bars) = (String::new(), String::new());
    for (n, Bar { lower, upper }) in bars.into_iter().enumerate() {
        let (x, height) = (n * 4, |value: i64| (value * HEIGHT + max - 1) / max);
        let (lower, both) = (height(lower), height(lower + upper));
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

/// A row of a [`BarTable`].
pub struct BarRow {
    pub label: &'static str,
    /// The length of its bar, in proportion to the other rows.
    pub value: i64,
    pub text: String,
}

/// A table of numbers with a bar for each.
#[component]
pub fn BarTable(title: &'static str, rows: Vec<BarRow>) -> impl IntoView {
    let max = rows.iter().map(|row| row.value).max().unwrap_or(0).max(1);
    let row = |BarRow { label, value, text }: BarRow| {
        let width = (value.saturating_mul(1000) / max).to_string();
        view! {
            <tr>
                <th scope="row">{label}</th>
                <td class="bar-cell" aria-hidden="true">
                    <svg viewBox="0 0 1000 8" preserveAspectRatio="none"><rect class="bar" width=width height="8"/></svg>
                </td>
                <td class="number">{text}</td>
            </tr>
        }
    };
    view! {
        <table>
            <caption>{title}</caption>
            <tbody>{rows.into_iter().map(row).collect_view()}</tbody>
        </table>
    }
}
