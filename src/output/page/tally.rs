//! What rows of the page's tables come to while the run goes on: requests, scenarios, groups, checks, kinds of errors.
//! Each table has a bound; what does not fit is counted in the whole, but has no row.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::columns::Columns;
use super::slice::RequestSlice;
use crate::fault::Side;
use crate::metric::sink::TrendSink;

/// The most rows of requests.
pub(super) const REQUESTS_MAX: usize = 500;
/// Requests that have columns of their own: the first that are seen.
pub(super) const REQUESTS_WITH_COLUMNS: usize = 100;
/// The most columns of a request.
pub(super) const REQUEST_COLUMNS: usize = 200;
/// The most groups, checks and kinds of errors.
pub(super) const GROUPS_MAX: usize = 200;
pub(super) const CHECKS_MAX: usize = 500;
pub(super) const ERRORS_MAX: usize = 500;

/// Requests of one name and method.
#[derive(Debug)]
pub(super) struct RequestTally {
    pub name: Arc<str>,
    pub method: Arc<str>,
    pub requests: u64,
    pub failed: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub statuses: BTreeMap<Arc<str>, u64>,
    pub latency: TrendSink,
    pub columns: Option<Columns<RequestSlice>>,
}

/// What a scenario has done.
#[derive(Debug, Default)]
pub(super) struct ScenarioTally {
    pub name: Arc<str>,
    pub requests: u64,
    pub failed: u64,
    pub latency: TrendSink,
    pub iterations: u64,
    pub iterations_failed: u64,
    pub iteration_duration: TrendSink,
}

/// A group's durations.
#[derive(Debug, Default)]
pub(super) struct GroupTally {
    pub name: Arc<str>,
    pub duration: TrendSink,
}

/// A check's answers.
#[derive(Debug, Default)]
pub(super) struct CheckTally {
    pub group: Arc<str>,
    pub name: Arc<str>,
    pub passes: u64,
    pub fails: u64,
}

/// Failures of one kind.
#[derive(Debug)]
pub(super) struct ErrorTally {
    pub code: u32,
    pub side: Side,
    pub message: Arc<str>,
    pub count: u64,
    pub first_second: u32,
    pub example: String,
}

type Key = (Arc<str>, Arc<str>);

/// Rows by two names, in the order in which they were first seen.
#[derive(Debug)]
pub(super) struct Table<T> {
    pub rows: Vec<T>,
    places: FxHashMap<Key, usize>,
    most: usize,
}

impl<T> Table<T> {
    /// An empty one that takes so many rows.
    pub fn new(most: usize) -> Self {
        Self { rows: Vec::new(), places: FxHashMap::default(), most }
    }

    /// The place of a row, which is made when it is not there; none when the table is full.
    pub fn place(&mut self, one: &Arc<str>, other: &Arc<str>, make: impl FnOnce(usize) -> T) -> Option<u16> {
        let key = (one.clone(), other.clone());
        let place = match self.places.get(&key) {
            Some(&place) => place,
            None if self.rows.len() >= self.most => return None,
            None => {
                let place = self.rows.len();
                self.rows.push(make(place));
                self.places.insert(key, place);
                place
            }
        };
        u16::try_from(place).ok()
    }

    /// A row by its place.
    pub fn row(&mut self, place: Option<u16>) -> Option<&mut T> {
        self.rows.get_mut(usize::from(place?))
    }
}
