//! The section "Figures": total cost, average salary and headcount of each department.

use leptos::prelude::*;

use crate::model::employees::DepartmentFigures;
use crate::model::text::thousands;
use crate::ui::chart::{BarRow, BarTable};
use crate::ui::layout::Section;

#[component]
pub fn FigureSection(figures: Vec<DepartmentFigures>) -> impl IntoView {
    let rows = |value: fn(&DepartmentFigures) -> i64| -> Vec<BarRow> {
        let row = |figures: &DepartmentFigures| BarRow {
            label: figures.department.label(),
            value: value(figures),
            text: thousands(value(figures)),
        };
        figures.iter().map(row).collect()
    };
    let (total, average, headcount) =
        (rows(|figures| figures.total), rows(|figures| rounded(figures.average)), rows(|figures| figures.headcount));
    view! {
        <Section id="figures-heading" title="By department">
            <div class="figures">
                <BarTable title="Total cost per year" rows=total/>
                <BarTable title="Average salary" rows=average/>
                <BarTable title="Headcount" rows=headcount/>
            </div>
        </Section>
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an average of salaries is far below the limit")]
fn rounded(average: f64) -> i64 {
    average.round() as i64
}
