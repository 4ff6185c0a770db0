//! Time in columns: a fixed number of them, whatever the length of the run.
//!
//! A column is at first one second wide. When the run outgrows the bound, neighbours are merged and all columns become
//! twice as wide. What is merged are counts and histograms, so nothing but resolution is lost.

/// What a column holds.
pub(super) trait Merge: Default {
    /// Adds what the column after this one holds.
    fn merge(&mut self, later: &Self);
}

/// Columns of equal width, from the start of the load.
#[derive(Clone, Debug)]
pub(super) struct Columns<T> {
    columns: Vec<T>,
    /// Seconds a column.
    width: u32,
    most: usize,
    /// The first column that has changed since this was last asked for.
    dirty: usize,
}

impl<T: Merge> Columns<T> {
    /// None yet, and never more than `most` (at least two).
    pub fn new(most: usize) -> Self {
        Self { columns: Vec::new(), width: 1, most: most.max(2), dirty: 0 }
    }

    /// The column that a second belongs to, to be added to.
    pub fn at(&mut self, second: u32) -> &mut T {
        let mut place = (second / self.width) as usize;
        while place >= self.most {
            self.halve();
            place = (second / self.width) as usize;
        }
        if place >= self.columns.len() {
            self.columns.resize_with(place + 1, T::default);
        }
        self.dirty = self.dirty.min(place);
        &mut self.columns[place]
    }

    /// Makes it hold a column for every second up to this one.
    pub fn reach(&mut self, second: u32) {
        self.at(second);
    }

    fn halve(&mut self) {
        self.columns = self.merged(2);
        self.width = self.width.saturating_mul(2);
        self.dirty = 0;
    }

    /// Each `factor` neighbours as one.
    pub fn merged(&self, factor: usize) -> Vec<T> {
        let merge = |columns: &[T]| {
            let mut all = T::default();
            columns.iter().for_each(|column| all.merge(column));
            all
        };
        self.columns.chunks(factor.max(1)).map(merge).collect()
    }

    /// The columns.
    pub fn all(&self) -> &[T] {
        &self.columns
    }

    /// Seconds a column.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The first column that has changed since this was last called; the number of columns when none has.
    pub fn take_dirty(&mut self) -> usize {
        std::mem::replace(&mut self.dirty, self.columns.len()).min(self.columns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Merge for u64 {
        fn merge(&mut self, later: &Self) {
            *self += later;
        }
    }

    #[test]
    fn a_long_run_keeps_its_sums_in_few_columns() {
        let mut columns = Columns::<u64>::new(600);
        for second in 0..100_000 {
            *columns.at(second) += u64::from(second);
        }
        assert_eq!(columns.width(), 256);
        assert!((300..=600).contains(&columns.all().len()), "{}", columns.all().len());
        assert_eq!(columns.all().iter().sum::<u64>(), (0..100_000).sum::<u64>());
        assert_eq!(columns.all()[1], (256..512).sum::<u64>());
        // A source that is late adds to the column of its second, not to the latest.
        *columns.at(3) += 7;
        assert_eq!(columns.all()[0], (0..256).sum::<u64>() + 7);
    }

    #[test]
    fn what_has_changed_is_told_once() {
        let mut columns = Columns::<u64>::new(4);
        columns.reach(1);
        assert_eq!((columns.take_dirty(), columns.take_dirty()), (0, 2));
        *columns.at(2) += 1;
        *columns.at(1) += 1;
        assert_eq!(columns.take_dirty(), 1);
        // Merged, all is new.
        columns.reach(4);
        assert_eq!((columns.width(), columns.take_dirty()), (2, 0));
        assert_eq!(columns.merged(2), [2, 0]);
        assert_eq!(columns.all().len(), 3);
    }

    #[test]
    fn a_second_far_away_is_reached_without_millions_of_columns() {
        let mut columns = Columns::<u64>::new(10);
        *columns.at(u32::MAX) += 1;
        assert!(columns.all().len() <= 10);
        assert_eq!(columns.all().iter().sum::<u64>(), 1);
    }
}
