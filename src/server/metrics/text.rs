//! Metric families in Prometheus' text format, written by the crate `prometheus`.

use std::time::Duration;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::histogram::HistogramSnapshot;

/// Content type of the text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Labels of one series: names and values.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// Families that a scrape answers with.
#[derive(Default)]
pub struct Exposition(Vec<MetricFamily>);

impl Exposition {
    /// Adds a counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help, |add| add(&[], value));
    }

    /// Adds a counter for each set of labels. Without one, the family is left out.
    pub fn counters(&mut self, name: &str, help: &str, list: impl FnOnce(&mut dyn FnMut(Labels<'_>, f64))) {
        let mut series = Vec::new();
        list(&mut |labels, value| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = labelled(labels);
            metric.set_counter(counter);
            series.push(metric);
        });
        self.add(name, help, MetricType::COUNTER, series);
    }

    /// Adds a gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, |add| add(&[], value));
    }

    /// Adds a gauge for each set of labels.
    pub fn gauges(&mut self, name: &str, help: &str, list: impl FnOnce(&mut dyn FnMut(Labels<'_>, f64))) {
        let mut series = Vec::new();
        list(&mut |labels, value| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = labelled(labels);
            metric.set_gauge(gauge);
            series.push(metric);
        });
        self.add(name, help, MetricType::GAUGE, series);
    }

    /// Adds a histogram for each set of labels.
    pub fn histograms(
        &mut self,
        name: &str,
        help: &str,
        list: impl FnOnce(&mut dyn FnMut(Labels<'_>, &HistogramSnapshot)),
    ) {
        let mut series = Vec::new();
        list(&mut |labels, snapshot| {
            let mut metric = labelled(labels);
            metric.set_histogram(histogram(snapshot));
            series.push(metric);
        });
        self.add(name, help, MetricType::HISTOGRAM, series);
    }

    fn add(&mut self, name: &str, help: &str, kind: MetricType, series: Vec<Metric>) {
        if series.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(series);
        self.0.push(family);
    }

    /// Writes the families.
    pub fn write(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0)
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

fn histogram(snapshot: &HistogramSnapshot) -> Histogram {
    let bucket = |(bound, count): (Duration, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(snapshot.cumulative().map(bucket).collect());
    histogram.set_sample_count(snapshot.count());
    histogram.set_sample_sum(snapshot.total().as_secs_f64());
    histogram
}

/// Returns a count as Prometheus has it. Above 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "counts of this size do not occur")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// Like [`number`], for a size in memory.
pub const fn amount(count: usize) -> f64 {
    number(count as u64)
}
