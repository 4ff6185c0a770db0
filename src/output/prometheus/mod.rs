//! Prometheus: an endpoint that it scrapes, and remote write to it and to all that speak its protocol.
//!
//! Both tell totals since the start of the run: counters that only grow, gauges, histograms. So what a receiver missed is
//! made good by the next it gets. [`family`] turns the series of a run into Prometheus' terms, [`native`] makes its
//! exponential histograms; [`text`] and [`protobuf`] write them down, [`scrape`] and [`remote_write`] carry them over.

pub mod family;
pub mod native;
pub mod protobuf;
pub mod remote_write;
pub mod scrape;
pub mod text;
