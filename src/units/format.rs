//! Printing: durations, latencies, bytes, counts, shares, for people.
