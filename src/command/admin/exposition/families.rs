//! Families of metrics: a name, a description, a type and the samples.

use std::fmt;

use callboard::core::broker::Histogram;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

/// The labels of a sample: names and values.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// Writes families of metrics.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Families<'a> {
        Families(encoder)
    }

    /// Writes a family of counters. Its name gets `_total` in the samples.
    pub(super) fn counters<'s, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s, N>, V)>,
    ) -> fmt::Result {
        let (name, unit) = split(name);
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        for (labels, value) in samples {
            match N {
                0 => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                _ => encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
            }
        }
        Ok(())
    }

    /// Writes a family of gauges.
    pub(super) fn gauges<'s, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s, N>, V)>,
    ) -> fmt::Result {
        let (name, unit) = split(name);
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in samples {
            match N {
                0 => encoder.encode_gauge(&value)?,
                _ => encoder.encode_family(&labels)?.encode_gauge(&value)?,
            }
        }
        Ok(())
    }

    /// Writes a family of histograms of durations, in seconds.
    pub(super) fn histograms<'s, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'s, N>, &'s Histogram)>,
    ) -> fmt::Result {
        let (name, unit) = split(name);
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Histogram)?;
        for (labels, histogram) in samples {
            let bound = |bound: Option<std::time::Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
            let buckets: Vec<_> = histogram.buckets().map(|(upper, count)| (bound(upper), count)).collect();
            let (sum, count) = (histogram.sum().as_secs_f64(), histogram.count());
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

/// Splits a name from its unit, which the encoder writes after it and in a comment.
fn split(name: &str) -> (&str, Option<Unit>) {
    let units = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes)];
    let found = units.into_iter().find_map(|(suffix, unit)| Some((name.strip_suffix(suffix)?, Some(unit))));
    found.unwrap_or((name, None))
}
