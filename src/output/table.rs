//! A table that fits its terminal: one column gives way, and columns that matter less are left out when it is narrow.

use super::line::{Line, Role};
use super::text;

/// Where a column's cells stand, and what happens to it when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Numbers stand right.
    pub right: bool,
    /// 0 is never left out; of the others the highest goes first.
    pub rank: u8,
}

impl Column {
    /// A column of names.
    #[must_use]
    pub const fn left(title: &'static str, rank: u8) -> Self {
        Self { title, right: false, rank }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn right(title: &'static str, rank: u8) -> Self {
        Self { title, right: true, rank }
    }
}

/// Rows of cells. The first column gives way: it is cut in its middle. A last column of text may be cut at its end.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<(Role, String)>>,
}

/// The least width of the column that gives way, while others can be left out.
const NAME_WIDTH_MIN: usize = 12;
/// The least width of a last column of text; with less room than that it is left out.
const TAIL_WIDTH_MIN: usize = 12;
const GAP: usize = 2;

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: as many cells as there are columns, free of control characters.
    pub fn row(&mut self, cells: Vec<(Role, String)>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, the headings first (none when no column has one), each at most `columns` wide.
    #[must_use]
    pub fn lines(&self, indent: usize, columns: usize) -> Vec<Line> {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().map(|row| text::width(&row[index].1)).max().unwrap_or(0);
                cells.max(text::width(self.columns[index].title))
            })
            .collect();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let others = |shown: &[usize]| {
            let last = shown.last().copied();
            let width = |index: usize| match self.columns[index].right || Some(index) != last {
                true => widths[index],
                false => widths[index].min(TAIL_WIDTH_MIN),
            };
            shown.iter().skip(1).map(|&index| width(index) + GAP).sum::<usize>()
        };
        let name_wanted = widths.first().copied().unwrap_or(0).min(NAME_WIDTH_MIN);
        while indent + name_wanted + others(&shown) > columns {
            let Some(drop) = shown
                .iter()
                .copied()
                .filter(|&index| self.columns[index].rank > 0)
                .max_by_key(|&index| self.columns[index].rank)
            else {
                break;
            };
            shown.retain(|&index| index != drop);
        }
        let name_width = widths.first().copied().unwrap_or(0).min(columns.saturating_sub(indent + others(&shown)));
        let width_of = |index: usize| if index == 0 { name_width } else { widths[index] };

        let line = |cells: &dyn Fn(usize) -> (Role, String)| {
            let mut line = Line::new().with(Role::Plain, " ".repeat(indent));
            let mut column = indent;
            for (position, &index) in shown.iter().enumerate() {
                if position > 0 {
                    column += GAP;
                }
                line.pad_to(column);
                let (role, cell) = cells(index);
                let width = width_of(index);
                let cell = text::cut_middle(&cell, width);
                if self.columns[index].right {
                    line.pad_to(column + width - text::width(&cell).min(width));
                }
                line.push(role, cell);
                column += width;
            }
            line.cut(columns)
        };
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        if self.columns.iter().any(|column| !column.title.is_empty()) {
            lines.push(line(&|index| (Role::Dim, self.columns[index].title.to_string())));
        }
        lines.extend(self.rows.iter().map(|row| line(&|index| row[index].clone())));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::terminal::Look;
    use super::*;

    const BARE: Look = Look { width: 80, height: 24, ascii: false, colour: false };

    fn render(columns: usize) -> String {
        let mut table = Table::new(&[
            Column::left("name", 0),
            Column::left("method", 2),
            Column::right("count", 0),
            Column::right("max", 1),
        ]);
        let cell = |text: &str| (Role::Plain, text.to_string());
        table.row(vec![cell("/a/rather/long/path/to/a/thing"), cell("GET"), cell("9"), cell("1.0 ms")]);
        table.row(vec![cell("/b"), cell("DELETE"), cell("12.3 k"), cell("9.0 ms")]);
        let lines: Vec<_> = table.lines(2, columns).iter().map(|line| line.render(&BARE)).collect();
        assert!(lines.iter().all(|line| text::width(line) <= columns), "{lines:?}");
        lines.join("\n")
    }

    #[test]
    fn a_table_gives_way() {
        insta::assert_snapshot!(render(80), @r"
        name                            method   count     max
        /a/rather/long/path/to/a/thing  GET          9  1.0 ms
        /b                              DELETE  12.3 k  9.0 ms
        ");
        insta::assert_snapshot!(render(50), @r"
        name                      method   count     max
        /a/rather/lo…/to/a/thing  GET          9  1.0 ms
        /b                        DELETE  12.3 k  9.0 ms
        ");
        insta::assert_snapshot!(render(40), @r"
        name            method   count     max
        /a/rath…/thing  GET          9  1.0 ms
        /b              DELETE  12.3 k  9.0 ms
        ");
        insta::assert_snapshot!(render(24), @r"
        name             count
        /a/rath…/thing       9
        /b              12.3 k
        ");
    }
}
