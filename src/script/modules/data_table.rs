//! A data file in memory: one buffer with the text of all rows, and numbers that say where each starts.
//!
//! A million rows of five columns so cost their text and 20 MB, not a million maps. What is wrong with a file is said with
//! its name and line. How scripts reach rows is in `data`.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use rhai::{Dynamic, ImmutableString};
use rustc_hash::FxHashMap;

use crate::script::lazy_json::{JsonError, LazyJson};

/// The bytes that some programs put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Why a data file cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// It does not exist.
    #[error("`{file}` was not found at {path} (paths are relative to the script)")]
    NotFound {
        /// As the script names it.
        file: String,
        /// Where it was looked for.
        path: String,
    },
    /// The system would not read it.
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable {
        /// As the script names it.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// There is nothing in it, or nothing but a header.
    #[error("`{file}` has no {what}, and a table needs at least one")]
    Empty {
        /// As the script names it.
        file: String,
        /// `rows`, `lines` or `elements`.
        what: &'static str,
    },
    /// A row does not have as many fields as the first line.
    #[error("{file}:{line}: expected {expected} fields as in the first line, found {found}")]
    Ragged {
        /// As the script names it.
        file: String,
        /// From 1.
        line: u64,
        /// Fields of the first line.
        expected: u64,
        /// Fields of this row.
        found: u64,
    },
    /// The names in `header` do not fit the file.
    #[error("{file}:1: `header` gives {expected} names, the first line has {found} fields (is the delimiter right?)")]
    Header {
        /// As the script names it.
        file: String,
        /// Names given.
        expected: usize,
        /// Fields of the first line.
        found: usize,
    },
    /// Two columns share a name.
    #[error("{file}:1: two columns are called `{column}`")]
    DuplicateColumn {
        /// As the script names it.
        file: String,
        /// The name.
        column: String,
    },
    /// It is not UTF-8.
    #[error("{file}:{line}: the text is not UTF-8: save the file as UTF-8")]
    Utf8 {
        /// As the script names it.
        file: String,
        /// From 1.
        line: u64,
    },
    /// It is not JSON.
    #[error("{file}:{line}: {error}")]
    Json {
        /// As the script names it.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong.
        error: JsonError,
    },
    /// It is JSON, but not an array.
    #[error("`{file}` must hold an array `[...]`, whose elements are the rows")]
    NotAnArray {
        /// As the script names it.
        file: String,
    },
    /// It is larger than a table can be.
    #[error("`{file}` has more than 4 GiB of text, the most that a table can hold")]
    TooLarge {
        /// As the script names it.
        file: String,
    },
    /// The run has too many data files.
    #[error("`{file}` would be one data file too many: a run can have {most}")]
    TooMany {
        /// As the script names it.
        file: String,
        /// How many it may have.
        most: usize,
    },
}

/// How a CSV file is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CsvFormat {
    /// What stands between fields.
    pub delimiter: u8,
    /// Where the columns' names come from.
    pub header: Header,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self { delimiter: b',', header: Header::FirstLine }
    }
}

/// Where the names of columns come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Header {
    /// The first line, which is not a row then.
    FirstLine,
    /// Nowhere: columns are called `0`, `1`, ...
    None,
    /// The script.
    Names(Vec<String>),
}

/// A data file in memory; it has at least one row.
#[derive(Debug)]
pub struct Table {
    file: String,
    rows: Rows,
    /// How many rows `.next()` has handed out.
    pub(super) next: AtomicU64,
    /// How many rows `.unique()` has handed out.
    pub(super) unique: AtomicU64,
}

#[derive(Debug)]
enum Rows {
    /// All fields one after the other; `ends` says where each ends.
    Csv { columns: Vec<String>, by_name: FxHashMap<String, usize>, text: String, ends: Vec<u32> },
    /// The file as it is; where each element starts and ends.
    Json { text: Bytes, ranges: Vec<(u32, u32)> },
    /// The file as it is; where each line starts and ends.
    Lines { text: String, ranges: Vec<(u32, u32)> },
}

impl Table {
    /// Reads a CSV file. `file` is what errors call it, here and below.
    ///
    /// # Errors
    /// When it is missing, empty, ragged or not UTF-8.
    pub fn read_csv(path: &Path, file: &str, format: &CsvFormat) -> Result<Self, DataError> {
        let input = File::open(path).map_err(|error| unreadable(&error, path, file))?;
        Self::from_csv(file, BufReader::with_capacity(64 * 1024, input), format)
    }

    fn from_csv(file: &str, mut input: impl BufRead, format: &CsvFormat) -> Result<Self, DataError> {
        let failed = |error: std::io::Error| DataError::Unreadable { file: file.to_owned(), reason: error.to_string() };
        if input.fill_buf().map_err(failed)?.starts_with(BYTE_ORDER_MARK) {
            input.consume(BYTE_ORDER_MARK.len());
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(format.delimiter).from_reader(input);
        let mut record = csv::StringRecord::new();
        let empty = || DataError::Empty { file: file.to_owned(), what: "rows" };
        if !reader.read_record(&mut record).map_err(|error| csv_error(&error, file))? {
            return Err(empty());
        }
        let first_is_row = format.header != Header::FirstLine;
        let columns: Vec<String> = match &format.header {
            Header::FirstLine => record.iter().map(|name| name.trim().to_owned()).collect(),
            Header::None => (0..record.len()).map(|number| number.to_string()).collect(),
            Header::Names(names) if names.len() == record.len() => names.clone(),
            Header::Names(names) => {
                let (expected, found) = (names.len(), record.len());
                return Err(DataError::Header { file: file.to_owned(), expected, found });
            }
        };
        let mut by_name = FxHashMap::default();
        for (number, name) in columns.iter().enumerate() {
            if by_name.insert(name.clone(), number).is_some() {
                return Err(DataError::DuplicateColumn { file: file.to_owned(), column: name.clone() });
            }
        }
        let (mut text, mut ends) = (String::new(), Vec::new());
        let mut is_row = first_is_row;
        loop {
            if is_row {
                for field in &record {
                    text.push_str(field);
                    ends.push(u32::try_from(text.len()).map_err(|_| DataError::TooLarge { file: file.to_owned() })?);
                }
            }
            is_row = true;
            if !reader.read_record(&mut record).map_err(|error| csv_error(&error, file))? {
                break;
            }
        }
        if ends.is_empty() {
            return Err(empty());
        }
        text.shrink_to_fit();
        ends.shrink_to_fit();
        Ok(Self::new(file, Rows::Csv { columns, by_name, text, ends }))
    }

    /// Reads a JSON file that holds an array.
    ///
    /// # Errors
    /// When it is missing, not JSON, not an array, or has no elements.
    pub fn read_json(path: &Path, file: &str) -> Result<Self, DataError> {
        Self::from_json(file, read(path, file)?)
    }

    fn from_json(file: &str, text: Vec<u8>) -> Result<Self, DataError> {
        let text = Bytes::from(text);
        let ranges = LazyJson::new(text.clone()).element_ranges().map_err(|error| {
            let offset = match &error {
                JsonError::Syntax { offset, .. } | JsonError::Utf8 { offset } | JsonError::TooDeep { offset } => {
                    *offset
                }
                _ => 0,
            };
            DataError::Json { file: file.to_owned(), line: line_of(&text, offset), error }
        })?;
        let ranges = ranges.ok_or_else(|| DataError::NotAnArray { file: file.to_owned() })?;
        if ranges.is_empty() {
            return Err(DataError::Empty { file: file.to_owned(), what: "elements" });
        }
        // A text whose places do not fit into 32 bits has been refused by `LazyJson`.
        let ranges = ranges.into_iter().map(|(start, end)| (start as u32, end as u32)).collect();
        Ok(Self::new(file, Rows::Json { text, ranges }))
    }

    /// Reads the lines of a text file; blank ones are left out.
    ///
    /// # Errors
    /// When it is missing, not UTF-8, or has no lines.
    pub fn read_lines(path: &Path, file: &str) -> Result<Self, DataError> {
        let text = String::from_utf8(read(path, file)?).map_err(|error| {
            let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to()) as u64;
            DataError::Utf8 { file: file.to_owned(), line }
        })?;
        Self::from_lines(file, text)
    }

    /// The lines of a text; blank ones are left out.
    ///
    /// # Errors
    /// When it has none, or is too large.
    pub fn from_lines(file: &str, text: String) -> Result<Self, DataError> {
        if u32::try_from(text.len()).is_err() {
            return Err(DataError::TooLarge { file: file.to_owned() });
        }
        let mut start = 0;
        let mut ranges = Vec::new();
        for line in text.split_inclusive('\n') {
            let content = line.trim_end_matches(['\n', '\r']);
            if !content.trim().is_empty() {
                ranges.push((start as u32, (start + content.len()) as u32));
            }
            start += line.len();
        }
        if ranges.is_empty() {
            return Err(DataError::Empty { file: file.to_owned(), what: "lines" });
        }
        ranges.shrink_to_fit();
        Ok(Self::new(file, Rows::Lines { text, ranges }))
    }

    fn new(file: &str, rows: Rows) -> Self {
        Self { file: file.to_owned(), rows, next: AtomicU64::new(0), unique: AtomicU64::new(0) }
    }

    /// The file as the script names it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many rows it has; at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Csv { columns, ends, .. } => ends.len() / columns.len(),
            Rows::Json { ranges, .. } | Rows::Lines { ranges, .. } => ranges.len(),
        }
    }

    /// Never: a file without rows is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its rows have columns.
    #[must_use]
    pub fn is_csv(&self) -> bool {
        matches!(self.rows, Rows::Csv { .. })
    }

    /// The names of its columns; none unless it is CSV.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        let columns: &[String] = if let Rows::Csv { columns, .. } = &self.rows { columns } else { &[] };
        columns.iter().map(String::as_str)
    }

    /// The number of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        if let Rows::Csv { by_name, .. } = &self.rows { by_name.get(name).copied() } else { None }
    }

    /// A field of a CSV file; empty where there is no such row or column.
    #[must_use]
    pub fn field(&self, row: usize, column: usize) -> &str {
        let Rows::Csv { columns, text, ends, .. } = &self.rows else { return "" };
        let number = row * columns.len() + column;
        let Some(&end) = ends.get(number) else { return "" };
        let start = if number == 0 { 0 } else { ends[number - 1] };
        &text[start as usize..end as usize]
    }

    /// An element of a JSON file, made anew, or a line; `()` where there is no such row, and for CSV.
    pub fn value(&self, row: usize) -> Dynamic {
        let found = match &self.rows {
            Rows::Json { text, ranges } => ranges.get(row).and_then(|&(start, end)| {
                // The whole file has been checked when it was read.
                LazyJson::new(text.slice(start as usize..end as usize)).value().ok()
            }),
            Rows::Lines { text, ranges } => {
                ranges.get(row).map(|&(start, end)| ImmutableString::from(&text[start as usize..end as usize]).into())
            }
            Rows::Csv { .. } => None,
        };
        found.unwrap_or(Dynamic::UNIT)
    }
}

/// A file's contents, without a byte order mark.
fn read(path: &Path, file: &str) -> Result<Vec<u8>, DataError> {
    let mut text = Vec::new();
    let mut input = File::open(path).map_err(|error| unreadable(&error, path, file))?;
    input.read_to_end(&mut text).map_err(|error| unreadable(&error, path, file))?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

fn unreadable(error: &std::io::Error, path: &Path, file: &str) -> DataError {
    let file = file.to_owned();
    if error.kind() == ErrorKind::NotFound {
        DataError::NotFound { file, path: path.display().to_string() }
    } else {
        DataError::Unreadable { file, reason: error.to_string() }
    }
}

fn csv_error(error: &csv::Error, file: &str) -> DataError {
    let file = file.to_owned();
    let line_of = |position: &Option<csv::Position>| position.as_ref().map_or(1, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            DataError::Ragged { file, line: line_of(pos), expected: *expected_len, found: *len }
        }
        csv::ErrorKind::Utf8 { pos, .. } => DataError::Utf8 { file, line: line_of(pos) },
        _ => DataError::Unreadable { file, reason: error.to_string() },
    }
}

/// The line of a place in a text, from 1.
fn line_of(text: &[u8], offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text[..offset.min(text.len())]).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str, format: &CsvFormat) -> Result<Table, DataError> {
        Table::from_csv("f.csv", text.as_bytes(), format)
    }

    fn fields(table: &Table) -> Vec<Vec<&str>> {
        (0..table.len())
            .map(|row| (0..table.columns().len()).map(|column| table.field(row, column)).collect())
            .collect()
    }

    /// A text, how it is written, its columns and its rows.
    type Case = (&'static str, CsvFormat, &'static [&'static str], &'static [&'static [&'static str]]);

    #[test]
    fn reads_csv_as_it_is_written() {
        let names = |header| CsvFormat { header, ..CsvFormat::default() };
        let table: &[Case] = &[
            ("a,b\n1,2\n", CsvFormat::default(), &["a", "b"], &[&["1", "2"]]),
            ("\u{feff}a, b\r\n1, 2\r\n\r\n3,4", CsvFormat::default(), &["a", "b"], &[&["1", " 2"], &["3", "4"]]),
            ("a\n\"x, \"\"y\"\"\nz\"\n", CsvFormat::default(), &["a"], &[&["x, \"y\"\nz"]]),
            ("1,,3\n", names(Header::None), &["0", "1", "2"], &[&["1", "", "3"]]),
            ("1,2\n", names(Header::Names(vec!["x".into(), "y".into()])), &["x", "y"], &[&["1", "2"]]),
            ("a\tb\n1\t2", CsvFormat { delimiter: b'\t', ..CsvFormat::default() }, &["a", "b"], &[&["1", "2"]]),
        ];
        for (text, format, columns, rows) in table {
            let read = csv(text, format).unwrap();
            assert_eq!(read.columns().collect::<Vec<_>>(), *columns, "{text:?}");
            assert_eq!(fields(&read), *rows, "{text:?}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_file_and_where() {
        let plain = CsvFormat::default();
        let three =
            CsvFormat { header: Header::Names(vec!["a".into(), "b".into(), "c".into()]), ..CsvFormat::default() };
        let json = |text: &str| Table::from_json("f.json", text.as_bytes().to_vec());
        let table = [
            (csv("", &plain), "`f.csv` has no rows, and a table needs at least one"),
            (csv("a,b\n", &plain), "`f.csv` has no rows, and a table needs at least one"),
            (csv("a,b\n1,2\n3\n", &plain), "f.csv:3: expected 2 fields as in the first line, found 1"),
            (csv("a,b\n\"1\n1\",2\n3,4,5\n", &plain), "f.csv:4: expected 2 fields as in the first line, found 3"),
            (csv("a,a\n1,2\n", &plain), "f.csv:1: two columns are called `a`"),
            (
                csv("1;2;3\n", &three),
                "f.csv:1: `header` gives 3 names, the first line has 1 fields (is the delimiter right?)",
            ),
            (
                Table::from_csv("f.csv", &b"a\nb\n\xff\n"[..], &plain),
                "f.csv:3: the text is not UTF-8: save the file as UTF-8",
            ),
            (Table::from_lines("f.txt", "\n \r\n".into()), "`f.txt` has no lines, and a table needs at least one"),
            (json("[1,\n2,\n]"), "f.json:3: not JSON: expected a value at byte 7, found `]`: `[1, 2, ]`"),
            (json("{}"), "`f.json` must hold an array `[...]`, whose elements are the rows"),
            (json(" [ ] "), "`f.json` has no elements, and a table needs at least one"),
            (
                Table::read_lines(Path::new("/nowhere/f.txt"), "f.txt"),
                "`f.txt` was not found at /nowhere/f.txt (paths are relative to the script)",
            ),
        ];
        for (result, expected) in table {
            assert_eq!(result.map(|table| table.len()).unwrap_err().to_string(), expected);
        }
        assert!(matches!(Table::read_json(Path::new("/"), "dir"), Err(DataError::Unreadable { .. })));
    }

    #[test]
    fn holds_a_million_rows_in_little_more_than_their_text() {
        let text: String = (0..1_000_000).map(|n| format!("user{n},secret\n")).collect();
        let table = csv(&text, &CsvFormat { header: Header::None, ..CsvFormat::default() }).unwrap();
        assert_eq!(table.len(), 1_000_000);
        assert_eq!(
            (table.field(0, 0), table.field(999_999, 0), table.field(999_999, 1)),
            ("user0", "user999999", "secret")
        );
        let Rows::Csv { text, ends, .. } = &table.rows else { panic!("not CSV") };
        assert_eq!(ends.capacity(), 2_000_000);
        assert!(text.capacity() < text.len() + 1024);
    }

    #[test]
    fn lines_end_in_either_way_and_keep_their_spaces() {
        let table = Table::from_lines("f", " a \r\n\nb\nc".to_owned()).unwrap();
        let lines: Vec<String> = (0..table.len()).map(|row| table.value(row).to_string()).collect();
        assert_eq!(lines, [" a ", "b", "c"]);
        assert!(table.value(3).is_unit());
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_file_breaks_a_table(text in "([a-z]{0,3}|[,;\"\t]|\r?\n|\"[a-z\n,]{0,5}\"|\\PC){0,40}", bytes in prop::collection::vec(any::<u8>(), 0..80), delimiter in prop::sample::select(b",;\t|".to_vec())) {
            for bytes in [text.as_bytes(), &bytes] {
                for header in [Header::FirstLine, Header::None, Header::Names(vec!["a".into(), "b".into()])] {
                    if let Ok(table) = Table::from_csv("a.csv", bytes, &CsvFormat { delimiter, header }) {
                        prop_assert!(!table.is_empty() && table.columns().len() > 0);
                    }
                }
                if let Ok(table) = Table::from_json("a.json", bytes.to_vec()) {
                    prop_assert!(!table.is_empty());
                }
            }
            if let Ok(table) = Table::from_lines("a.txt", text.clone()) {
                prop_assert_eq!(table.len(), text.lines().filter(|line| !line.trim().is_empty()).count());
            }
        }

        #[test]
        fn fuzz_fields_read_back(rows in prop::collection::vec(("[a-z ,\"\n]{0,8}", "[a-z;'\r\n]{1,8}"), 1..8)) {
            let quoted = |field: &str| format!("\"{}\"", field.replace('"', "\"\""));
            let lines: String = rows.iter().map(|(a, b)| format!("{},{}\n", quoted(a), quoted(b))).collect();
            let table = Table::from_csv("a.csv", format!("first,second\n{lines}").as_bytes(), &CsvFormat::default()).unwrap();
            prop_assert_eq!(table.len(), rows.len());
            for (row, (a, b)) in rows.iter().enumerate() {
                prop_assert_eq!((table.field(row, 0), table.field(row, 1)), (&**a, &**b));
            }
        }
    }
}
