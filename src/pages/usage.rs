//! Requests per day of a key or of a registered API: a chart with a total in its table, and a dialog with the days.

use leptos::prelude::*;

use crate::model::link::Parameters;
use crate::model::text::thousands;
use crate::model::time::{DAY, Timestamp};
use crate::model::usage::{DayUsage, USAGE_DAYS};
use crate::ui::chart::{Bar, Bars};
use crate::ui::dialog::{Cancel, Dialog, RowTrigger, close_to};
use crate::ui::table::{Cell, Table};

/// The requests of several days.
struct UsageTotal {
    all: i64,
    rejected: i64,
}

impl UsageTotal {
    fn new(days: &[DayUsage]) -> Self {
        let rejected = days.iter().map(|day| day.refused).sum();
        Self { all: days.iter().map(|day| day.allowed).sum::<i64>() + rejected, rejected }
    }

    /// Returns `1 request`.
    fn requests(&self) -> String {
        format!("{} request{}", thousands(self.all), if self.all == 1 { "" } else { "s" })
    }
}

/// Returns a bar for each day.
fn bars(days: &[DayUsage]) -> Vec<Bar> {
    days.iter().map(|day| Bar { lower: day.allowed, upper: day.refused }).collect()
}

/// The chart and the total, which opens the dialog `usage`. Empty without requests.
#[component]
pub fn UsageSummary(
    days: Vec<DayUsage>,
    /// The value of `usage` in the URL.
    id: String,
    /// The HTML id of the name in the row.
    describes: String,
) -> impl IntoView {
    let total = UsageTotal::new(&days);
    (total.all > 0).then(|| {
        let label = format!("{} in {USAGE_DAYS} days", total.requests());
        let rejected = (total.rejected > 0).then(|| format!("{} rejected", thousands(total.rejected)));
        view! {
            <Bars bars=bars(&days)/>
            <RowTrigger name="usage" id describes label class="link"/>
            {rejected.map(|text| view! { <span class="under">{text}</span> })}
        }
    })
}

/// The requests in the last days: as a sentence, a chart and a table.
#[component]
pub fn UsageDialog(
    days: Vec<DayUsage>,
    /// What was used: `The key`.
    subject: &'static str,
    name: String,
    path: &'static str,
    #[prop(optional)] kept: Parameters,
) -> impl IntoView {
    let total = UsageTotal::new(&days);
    let sentence =
        format!("{} in the last {USAGE_DAYS} days, {} rejected.", total.requests(), thousands(total.rejected));
    let row = |&DayUsage { day, allowed, refused }: &DayUsage| {
        let day = Timestamp::from_millis(day * DAY).day();
        view! {
            <tr role="row">
                <Cell label="Day (UTC)">{day}</Cell>
                <Cell label="Accepted" class="number">{thousands(allowed)}</Cell>
                <Cell label="Rejected" class="number">{thousands(refused)}</Cell>
            </tr>
        }
    };
    let used = days.iter().rev().filter(|day| day.allowed + day.refused > 0).map(row).collect_view();
    view! {
        <Dialog id="usage-dialog" title="Requests" on_dismiss=close_to(path, &kept)>
            <p>{subject} " " <strong><bdi>{name}</bdi></strong> ": " {sentence}</p>
            <div class="chart"><Bars bars=bars(&days)/></div>
            <Table label="Requests per day" columns=vec!["Day (UTC)", "Accepted", "Rejected"] numbers=&["Accepted", "Rejected"]>{used}</Table>
            <div class="dialog-foot"><Cancel back=path kept label="Close" autofocus=true/></div>
        </Dialog>
    }
}
