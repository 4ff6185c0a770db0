//! The numbers of one scenario's VUs on one worker.
//!
//! Level `n` of a scenario is its first `n` VUs; the plan divides them among parts by their places. The VUs of the plan
//! have the places that it reserves for them. A scenario may be given more VUs while it runs: they are divided as if its
//! places went on, but their numbers come after those of all planned VUs, and scenarios interleave theirs, so that no two
//! VUs of a run ever share a number.

use crate::plan::{Part, Plan};

#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    part: Part,
    /// The scenario's first place.
    start: u64,
    /// How many places the plan reserves for the scenario.
    reserved: u64,
    /// How many the plan reserves in all.
    planned: u64,
    scenario: u64,
    scenarios: u64,
}

impl Places {
    /// Of the plan's scenario at that index.
    pub fn new(plan: &Plan, scenario: usize, part: Part) -> Self {
        let places = plan.places(scenario);
        Self {
            part,
            start: places.start,
            reserved: places.end - places.start,
            planned: plan.vus_max(),
            scenario: scenario as u64,
            scenarios: plan.scenarios.len() as u64,
        }
    }

    /// The number, from 1, of the worker's VU at that index.
    pub fn vu(&self, index: usize) -> u32 {
        let place = self.part.places(self.start..u64::MAX).nth(index).unwrap_or(u64::MAX);
        let rank = place - self.start;
        let number = match rank.checked_sub(self.reserved) {
            None => place + 1,
            Some(extra) => self.planned + extra.saturating_mul(self.scenarios) + self.scenario + 1,
        };
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_numbers_differ_and_the_planned_ones_come_first() {
        let (reserved, grown) = ([3u64, 0, 4], [7u64, 5, 4]);
        for workers in 1..=3u32 {
            let mut numbers = Vec::new();
            for scenario in 0..3 {
                let start: u64 = reserved[..scenario].iter().sum();
                for worker in 0..workers {
                    let part = Part::new(worker, workers).expect("a part");
                    let places = Places {
                        part,
                        start,
                        reserved: reserved[scenario],
                        planned: 7,
                        scenario: scenario as u64,
                        scenarios: 3,
                    };
                    let own = part.count(start..start + grown[scenario]) as usize;
                    numbers.extend((0..own).map(|index| places.vu(index)));
                }
            }
            let set: BTreeSet<u32> = numbers.iter().copied().collect();
            assert_eq!((numbers.len(), set.len()), (16, 16), "{workers}: {numbers:?}");
            assert!((1..=7).all(|vu| set.contains(&vu)), "{workers}: {numbers:?}");
        }
    }
}
