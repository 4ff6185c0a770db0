//! Sinks: where the values of one series go.
