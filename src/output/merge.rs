//! The series of a run as outputs keep them: the snapshots of all sources merged, by metric and tags.
//!
//! Outputs that tell totals (Prometheus) never clear what they have merged; those that tell what happened since they last
//! wrote (InfluxDB, StatsD) take it out and begin anew. Either way memory grows with the number of series, which their
//! sources bound, and not with time.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::event::Second;
use crate::metric::sink::Sink;
use crate::metric::snapshot::{SeriesId, SourceId};
use crate::metric::store::Tags;
use crate::metric::{Catalogue, MetricDef, MetricId};

/// A metric with one set of tags, and what came in for it.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its metric.
    pub metric: MetricId,
    /// Its tags, sorted by key.
    pub tags: Tags,
    /// What came in.
    pub sink: Sink,
    /// Whether anything came in since [`Merged::clear`] was last called.
    pub touched: bool,
    /// When it was last given something, and by whom: decides whose gauge value is the latest.
    latest: (u32, SourceId),
}

/// All series of a run.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    catalogue: Arc<Catalogue>,
    series: Vec<Series>,
    by_name: FxHashMap<(MetricId, Tags), usize>,
    by_source: FxHashMap<(SourceId, SeriesId), usize>,
    /// Values that belong to no series that was ever defined.
    orphans: u64,
}

impl Merged {
    /// Takes a second in.
    pub fn absorb(&mut self, second: &Second) {
        self.catalogue = second.catalogue.clone();
        for snapshot in &second.snapshots {
            for def in &snapshot.new_series {
                if usize::from(def.metric.0) < self.catalogue.defs().len() {
                    let index = self.intern(def.metric, &def.tags);
                    self.by_source.insert((snapshot.source, def.id), index);
                }
            }
            for (id, delta) in &snapshot.sinks {
                let Some(&index) = self.by_source.get(&(snapshot.source, *id)) else {
                    self.orphans += 1;
                    continue;
                };
                let series = &mut self.series[index];
                let stamp = (snapshot.second, snapshot.source);
                if series.sink.absorb(delta, stamp >= series.latest) {
                    series.latest = series.latest.max(stamp);
                    series.touched = true;
                } else {
                    self.orphans += 1;
                }
            }
        }
    }

    fn intern(&mut self, metric: MetricId, tags: &Tags) -> usize {
        // An absent tag and an empty one mean the same.
        let tags: Tags = tags.iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
        let next = self.series.len();
        let index = *self.by_name.entry((metric, tags.clone())).or_insert(next);
        if index == next {
            let sink = Sink::new(self.catalogue.get(metric).kind);
            self.series.push(Series { metric, tags, sink, touched: false, latest: (0, SourceId(0)) });
        }
        index
    }

    /// What a metric of these series is.
    #[must_use]
    pub fn def(&self, metric: MetricId) -> &MetricDef {
        self.catalogue.get(metric)
    }

    /// All series, in the order in which they were first seen.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series in which anything came in since they were last cleared, with their metrics.
    pub fn touched(&self) -> impl Iterator<Item = (&MetricDef, &Series)> {
        let touched = self.series.iter().filter(|series| series.touched);
        touched.map(|series| (self.catalogue.get(series.metric), series))
    }

    /// Empties all series that were touched. A gauge keeps its latest value.
    pub fn clear(&mut self) {
        for series in self.series.iter_mut().filter(|series| series.touched) {
            series.touched = false;
            if !matches!(series.sink, Sink::Gauge { .. }) {
                drop(series.sink.take());
                continue;
            }
            let kept = series.sink.clone();
            if let (Sink::Gauge { last, .. }, Sink::Gauge { last: new, min, max }) = (kept, &mut series.sink) {
                (*new, *min, *max) = (last, f64::NAN, f64::NAN);
            }
        }
    }

    /// How many values could not be placed: they came for series whose definition was in a second that was lost.
    #[must_use]
    pub fn orphans(&self) -> u64 {
        self.orphans
    }

    /// The series by metric, in the order of the catalogue: what formats that group need.
    #[must_use]
    pub fn by_metric(&self) -> Vec<(&MetricDef, Vec<&Series>)> {
        let mut groups: Vec<(&MetricDef, Vec<&Series>)> =
            self.catalogue.defs().iter().map(|def| (def, Vec::new())).collect();
        for series in &self.series {
            groups[usize::from(series.metric.0)].1.push(series);
        }
        groups.retain(|(_, series)| !series.is_empty());
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::metric::builtin;

    #[test]
    fn sources_are_merged_and_clearing_begins_anew() {
        let mut merged = Merged::default();
        let mut recording = sample::Recording::of(vec!["front page".into()]);
        merged.absorb(&recording.second());
        let count = |merged: &Merged| -> f64 {
            let of = merged.series().iter().filter(|series| series.metric == builtin::HTTP_REQS);
            of.map(|series| if let Sink::Counter { sum } = series.sink { sum } else { 0.0 }).sum()
        };
        let (first, series) = (count(&merged), merged.series().len());
        assert!(first > 0.0);
        merged.absorb(&recording.second());
        assert_eq!((count(&merged), merged.series().len()), (2.0 * first, series), "totals grow, series don't");
        assert!(merged.touched().count() > 0);
        merged.clear();
        assert_eq!((count(&merged), merged.touched().count()), (0.0, 0));
        let vus = merged.series().iter().find(|series| series.metric == builtin::VUS).unwrap();
        assert!(matches!(vus.sink, Sink::Gauge { last, .. } if last == 20.0), "{vus:?}");
        assert_eq!(merged.orphans(), 0);
    }

    #[test]
    fn values_whose_definition_was_lost_are_counted() {
        let mut merged = Merged::default();
        let mut recording = sample::Recording::of(vec!["front page".into()]);
        drop(recording.second());
        merged.absorb(&recording.second());
        assert!(merged.orphans() > 0);
        assert_eq!(merged.touched().count(), 0);
    }
}
