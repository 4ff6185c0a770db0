//! Data files: read once for the whole run, shared by all VUs, never copied.
//!
//! `data::csv("users.csv")` at the top level of a script gives a [`DataTable`], a handle of one pointer to a [`Table`] in
//! the run's [`DataPool`]. Each worker's init asks for the same file and gets the same table; the first one reads it, the
//! others wait. In the load nothing is locked: the positions of `.next()` and `.unique()` are atomic counters of the
//! table, so they count over all VUs of this process (several machines divide a run by other means).
//!
//! How a table lies in memory is in `data_table`. Values are handed out as they are asked for: a row of a CSV file is a
//! [`Row`] whose fields become strings when they are read; a value of a JSON file is parsed anew each time, so that a
//! script may change what it gets.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};
use rustc_hash::FxHashMap;

use super::data_table::{CsvFormat, DataError, Header, Table};
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::script::source::FilesRead;
use crate::units::nearest;

/// How many data files a run may have.
const TABLES_MAX: usize = 1000;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "data", summary: "Data files: read once, shared by all VUs.", docs: DOCS, register };

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "data::csv(path) -> table, data::csv(path, options) -> table",
        summary: "The rows of a CSV file; the first line names the columns. Values are strings.",
        parameters: &[
            ("path", "the file, relative to the script"),
            (
                "options",
                "`delimiter`: one character, by default a comma; `header`: `true`, `false` (columns are 0, 1, ...), or an array of names",
            ),
        ],
        errors: "outside of the top level of the script; when the file is missing, empty or not UTF-8, or a row has more or fewer fields than the first line (with file:line)",
        example: "
            const USERS = data::csv(\"users.csv\");
            assert_eq(USERS.len, 3);
            assert_eq(USERS[0].name, \"alice\");
            let europe = data::csv(\"cities.csv\", #{ delimiter: \";\", header: [\"city\", \"people\"] });
            assert_eq(europe[1].city, \"Köln\");
            assert_error(|| data::csv(\"missing.csv\"), \"missing.csv\");
        ",
    },
    FunctionDoc {
        signature: "data::json(path) -> table",
        summary: "The elements of a JSON file that holds an array.",
        parameters: &[("path", "the file, relative to the script")],
        errors: "outside of the top level of the script; when the file is missing, not JSON, not an array, or empty",
        example: "
            const ITEMS = data::json(\"items.json\");
            assert_eq(ITEMS.len, 2);
            assert_eq(ITEMS[1].tags, [\"new\"]);
        ",
    },
    FunctionDoc {
        signature: "data::lines(path) -> table",
        summary: "The lines of a text file, without blank ones, as strings.",
        parameters: &[("path", "the file, relative to the script")],
        errors: "outside of the top level of the script; when the file is missing, not UTF-8, or has no lines",
        example: "
            const WORDS = data::lines(\"words.txt\");
            assert_eq(WORDS.len, 3);
            assert_eq(WORDS[2], \"drei\");
        ",
    },
    FunctionDoc {
        signature: "table.len -> int, table.len() -> int",
        summary: "How many rows there are.",
        parameters: &[],
        errors: "",
        example: "assert_eq(data::lines(\"words.txt\").len(), 3);",
    },
    FunctionDoc {
        signature: "table[index] -> row",
        summary: "The row of that index, from 0; negative ones count from the end.",
        parameters: &[("index", "from 0")],
        errors: "when there is no such row",
        example: "
            const USERS = data::csv(\"users.csv\");
            assert_eq(USERS[-1].name, \"carol\");
            assert_error(|| data::lines(\"words.txt\")[3], \"3 rows\");
        ",
    },
    FunctionDoc {
        signature: "table.row(n) -> row",
        summary: "The row `n`, starting over after the last: `USERS.row(vu.id)` is always the same one for a VU.",
        parameters: &[("n", "any integer")],
        errors: "",
        example: "
            const USERS = data::csv(\"users.csv\");
            assert_eq(USERS.row(4).name, USERS[1].name);
        ",
    },
    FunctionDoc {
        signature: "table.next() -> row",
        summary: "The next row over all VUs, starting over after the last.",
        parameters: &[],
        errors: "at the top level of the script, which runs once on each worker",
        example: "
            const WORDS = data::lines(\"words.txt\");
            fn journey() {
                let seen = [WORDS.next(), WORDS.next(), WORDS.next(), WORDS.next()];
                assert_eq(seen, [\"eins\", \"zwei\", \"drei\", \"eins\"]);
            }
        ",
    },
    FunctionDoc {
        signature: "table.random() -> row",
        summary: "A random row, the same for the same seed, VU and iteration.",
        parameters: &[],
        errors: "",
        example: "
            const WORDS = data::lines(\"words.txt\");
            assert_eq([\"eins\", \"zwei\", \"drei\"].contains(WORDS.random()), true);
        ",
    },
    FunctionDoc {
        signature: "table.unique() -> row",
        summary: "A row that nobody else gets in this run.",
        parameters: &[],
        errors: "when all rows have been handed out, and at the top level of the script, which runs once on each worker",
        example: "
            const WORDS = data::lines(\"words.txt\");
            fn journey() {
                for expected in [\"eins\", \"zwei\", \"drei\"] { assert_eq(WORDS.unique(), expected); }
                assert_error(|| WORDS.unique(), \"handed out\");
            }
        ",
    },
    FunctionDoc {
        signature: "for row in table",
        summary: "Goes through all rows.",
        parameters: &[],
        errors: "",
        example: "
            let names = [];
            for user in data::csv(\"users.csv\") { names.push(user.name); }
            assert_eq(names, [\"alice\", \"bob\", \"carol\"]);
        ",
    },
    FunctionDoc {
        signature: "row.column -> string, row[\"column\"] -> string, row[0] -> string",
        summary: "A field of a CSV row, by the column's name or number.",
        parameters: &[("column", "its name, or its number from 0")],
        errors: "when there is no such column; the error names the nearest",
        example: "
            const USERS = data::csv(\"users.csv\");
            let user = USERS[1];
            assert_eq(user.name, \"bob\");
            assert_eq(user[\"password\"], \"s3cret, really\");
            assert_eq(user[0], \"bob\");
            assert_eq(\"name\" in user, true);
            assert_error(|| user.pasword, \"did you mean `password`\");
        ",
    },
    FunctionDoc {
        signature: "row.to_map() -> map",
        summary: "A CSV row as an ordinary map of strings.",
        parameters: &[],
        errors: "",
        example: "
            let user = data::csv(\"users.csv\")[0].to_map();
            user.name = \"eve\";
            assert_eq(user, #{ name: \"eve\", password: \"wonder\" });
        ",
    },
];

/// Data files of a run, by path and format. Locked during init alone.
#[derive(Debug, Default)]
pub struct DataPool {
    tables: Mutex<FxHashMap<(PathBuf, Format), Arc<Table>>>,
    files: FilesRead,
}

/// How a file is to be read. Two formats of one file are two tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Format {
    Csv(CsvFormat),
    Json,
    Lines,
}

impl DataPool {
    /// A pool without tables that notes in `files` what is read.
    #[must_use]
    pub fn noting(files: FilesRead) -> Self {
        Self { files, ..Self::default() }
    }

    /// Takes note of a file that a script uses beside its tables.
    pub fn note(&self, path: &Path) {
        self.files.note(path);
    }

    /// The table of a file, read now if nobody has asked for it yet. `shown` is the path as the script gives it.
    fn table(&self, path: PathBuf, shown: &str, format: Format) -> Result<Arc<Table>, DataError> {
        self.files.note(&path);
        // A reader that panicked has inserted nothing: what is there is whole.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let count = tables.len();
        let key = (path, format);
        if let Some(table) = tables.get(&key) {
            return Ok(Arc::clone(table));
        }
        if count >= TABLES_MAX {
            return Err(DataError::TooMany { file: shown.to_owned(), most: TABLES_MAX });
        }
        let table = Arc::new(match &key.1 {
            Format::Csv(format) => Table::read_csv(&key.0, shown, format)?,
            Format::Json => Table::read_json(&key.0, shown)?,
            Format::Lines => Table::read_lines(&key.0, shown)?,
        });
        tables.insert(key, Arc::clone(&table));
        Ok(table)
    }
}

/// A data file, as a script holds it.
#[derive(Clone, Debug)]
pub struct DataTable(Arc<Table>);

impl DataTable {
    /// How many rows there are; at least one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no rows; never, because reading an empty file is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row of an index that is less than [`DataTable::len`], as scripts see it.
    fn at(&self, index: usize) -> Dynamic {
        if self.0.is_csv() { Dynamic::from(Row { table: self.clone(), index }) } else { self.0.value(index) }
    }

    /// `table[index]`.
    fn checked(&self, index: INT) -> HostResult<Dynamic> {
        let from_start = if index < 0 { index + self.len() as INT } else { index };
        match usize::try_from(from_start) {
            Ok(found) if found < self.len() => Ok(self.at(found)),
            _ => Err(host_error(format!(
                "`{}` has {} rows, there is no row {index}: use `.row({index})` to start over after the last",
                self.0.file(),
                self.len()
            ))),
        }
    }

    /// `table.row(n)`.
    fn wrapped(&self, n: INT) -> Dynamic {
        self.at(n.rem_euclid(self.len() as INT) as usize)
    }

    fn next(&self) -> Dynamic {
        // Only the count matters, no other memory hangs on it.
        let taken = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.at((taken % self.len() as u64) as usize)
    }

    fn random(&self, rng: &mut fastrand::Rng) -> Dynamic {
        self.at(rng.usize(..self.len()))
    }

    fn unique(&self) -> HostResult<Dynamic> {
        let rows = self.len() as u64;
        let take = |taken| (taken < rows).then_some(taken + 1);
        match self.0.unique.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(taken) => Ok(self.at(taken as usize)),
            Err(_) => Err(host_error(format!(
                "all {rows} rows of `{}` have been handed out by `.unique()`: add rows, run fewer iterations, or use \
                 `.next()`, which starts over",
                self.0.file()
            ))),
        }
    }
}

/// A row of a CSV file, as a script holds it.
#[derive(Clone, Debug)]
pub struct Row {
    table: DataTable,
    index: usize,
}

impl Row {
    fn named(&self, column: &str) -> HostResult<ImmutableString> {
        let table = &self.table.0;
        match table.column(column) {
            Some(number) => Ok(table.field(self.index, number).into()),
            None => {
                let hint = match nearest(column, table.columns()) {
                    Some(name) => format!("; did you mean `{name}`?"),
                    None => format!(": it has {}", list(table.columns())),
                };
                Err(host_error(format!("`{}` has no column `{column}`{hint}", table.file())))
            }
        }
    }

    fn numbered(&self, column: INT) -> HostResult<ImmutableString> {
        let table = &self.table.0;
        let width = table.columns().count();
        match usize::try_from(column) {
            Ok(number) if number < width => Ok(table.field(self.index, number).into()),
            _ => Err(host_error(format!("`{}` has {width} columns, there is no column {column}", table.file()))),
        }
    }

    /// The row as an ordinary map of strings.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let table = &self.table.0;
        table
            .columns()
            .enumerate()
            .map(|(number, name)| (name.into(), ImmutableString::from(table.field(self.index, number)).into()))
            .collect()
    }
}

/// The first few names of many, in backticks.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let mut names = names.peekable();
    let mut text = names.by_ref().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.peek().is_some() {
        text.push_str(", ...");
    }
    text
}

impl IntoIterator for DataTable {
    type Item = Dynamic;
    type IntoIter = Rows;

    fn into_iter(self) -> Rows {
        Rows { table: self, next: 0 }
    }
}

/// Goes through a table.
#[derive(Debug)]
pub struct Rows {
    table: DataTable,
    next: usize,
}

impl Iterator for Rows {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        let index = self.next;
        (index < self.table.len()).then(|| {
            self.next += 1;
            self.table.at(index)
        })
    }
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    let host = context.clone();
    define(&mut natives, "csv", move |path: ImmutableString| {
        open(&host, "data::csv", &path, Format::Csv(CsvFormat::default()))
    });
    let host = context.clone();
    define(&mut natives, "csv", move |path: ImmutableString, options: Map| {
        csv_format(options).and_then(|format| open(&host, "data::csv", &path, Format::Csv(format)))
    });
    let host = context.clone();
    define(&mut natives, "json", move |path: ImmutableString| open(&host, "data::json", &path, Format::Json));
    let host = context.clone();
    define(&mut natives, "lines", move |path: ImmutableString| open(&host, "data::lines", &path, Format::Lines));
    publish(engine, context, MODULE.name, natives);

    let (next, random, unique) = (context.clone(), context.clone(), context.clone());
    engine
        .register_type_with_name::<DataTable>("DataTable")
        .register_iterator::<DataTable>()
        .register_get("len", |table: &mut DataTable| table.len() as INT)
        .register_fn("len", |table: &mut DataTable| table.len() as INT)
        .register_indexer_get(|table: &mut DataTable, index: INT| table.checked(index))
        .register_fn("row", |table: &mut DataTable, n: INT| table.wrapped(n))
        .register_fn("next", move |table: &mut DataTable| once_each(&next, "next").map(|()| table.next()))
        .register_fn("random", move |table: &mut DataTable| table.random(&mut random.vu().rng.borrow_mut()))
        .register_fn("unique", move |table: &mut DataTable| once_each(&unique, "unique").and_then(|()| table.unique()))
        .register_fn("to_string", |table: &mut DataTable| format!("{} ({} rows)", table.0.file(), table.len()))
        .register_fn("to_debug", |table: &mut DataTable| format!("{} ({} rows)", table.0.file(), table.len()));
    engine
        .register_type_with_name::<Row>("Row")
        .register_indexer_get(|row: &mut Row, column: ImmutableString| row.named(&column))
        .register_indexer_get(|row: &mut Row, column: INT| row.numbered(column))
        .register_fn("contains", |row: &mut Row, column: ImmutableString| row.table.0.column(&column).is_some())
        .register_fn("keys", |row: &mut Row| row.table.0.columns().map(|name| name.into()).collect::<Array>())
        .register_fn("to_map", |row: &mut Row| row.to_map())
        .register_fn("to_string", |row: &mut Row| format!("{:?}", Dynamic::from(row.to_map())))
        .register_fn("to_debug", |row: &mut Row| format!("{:?}", Dynamic::from(row.to_map())));
}

fn open(context: &HostContext, function: &str, path: &str, format: Format) -> HostResult<DataTable> {
    if context.phase() != Phase::Init {
        return Err(host_error(format!(
            "`{function}` reads a file for the whole run, so it belongs to the top level of the script: \
             `const ROWS = {function}(\"{path}\");`"
        )));
    }
    let shared = context.shared();
    let table = shared.data.table(shared.base_dir.join(Path::new(path)), path, format);
    table.map(DataTable).map_err(|error| host_error(format!("`{function}`: {error}")))
}

/// Refuses to hand out rows one by one in init: each worker runs it, so that rows would be lost to nobody.
fn once_each(context: &HostContext, method: &str) -> HostResult<()> {
    if context.phase() != Phase::Init {
        return Ok(());
    }
    Err(host_error(format!(
        "`.{method}()` hands each row out once, and the top level of a script runs once on each worker: call it in a journey \
         or in `setup`"
    )))
}

fn csv_format(options: Map) -> HostResult<CsvFormat> {
    const OPTIONS: [&str; 2] = ["delimiter", "header"];
    let mut format = CsvFormat::default();
    for (name, value) in options {
        match name.as_str() {
            "delimiter" => format.delimiter = delimiter(&value)?,
            "header" => format.header = header(value)?,
            unknown => {
                let hint =
                    nearest(unknown, OPTIONS).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                return Err(host_error(format!("`data::csv` has no option `{unknown}`{hint}")));
            }
        }
    }
    Ok(format)
}

fn delimiter(value: &Dynamic) -> HostResult<u8> {
    let text = value.to_string();
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(host_error(format!("`data::csv`: `delimiter` must be one ASCII character, found `{text}`"))),
    }
}

fn header(value: Dynamic) -> HostResult<Header> {
    let wrong = "`data::csv`: `header` must be `true`, `false` or an array of column names";
    if let Ok(present) = value.as_bool() {
        return Ok(if present { Header::FirstLine } else { Header::None });
    }
    let names = value.try_cast::<Array>().ok_or_else(|| host_error(wrong))?;
    let names = names.into_iter().map(|name| name.into_string().map_err(|_| host_error(wrong)));
    names.collect::<HostResult<Vec<String>>>().map(Header::Names)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    #[test]
    fn a_file_is_read_once_for_all_workers() {
        let pool = DataPool::default();
        let open = || pool.table(fixture("words.txt"), "words.txt", Format::Lines).unwrap();
        let first = open();
        let others: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(others.iter().all(|table| Arc::ptr_eq(table, &first)));
        let as_csv = Format::Csv(CsvFormat { delimiter: b';', header: Header::None });
        let other = pool.table(fixture("words.txt"), "words.txt", as_csv).unwrap();
        assert!(!Arc::ptr_eq(&other, &first), "another format is another table");
    }

    #[test]
    fn unique_rows_go_to_one_taker_each() {
        let table =
            DataTable(Arc::new(Table::from_lines("n", (0..1_000).map(|n| format!("{n}\n")).collect()).unwrap()));
        let taken: Vec<Vec<String>> = thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let table = table.clone();
                        std::iter::from_fn(move || table.unique().ok()).map(|row| row.to_string()).collect()
                    })
                })
                .collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).collect()
        });
        let mut rows: Vec<usize> = taken.concat().iter().map(|row| row.parse().unwrap()).collect();
        rows.sort_unstable();
        assert_eq!(rows, Vec::from_iter(0..1_000));
        assert_eq!(
            table.unique().unwrap_err().to_string(),
            "Runtime error: all 1000 rows of `n` have been handed out by `.unique()`: add rows, run fewer iterations, or \
             use `.next()`, which starts over"
        );
        assert_eq!(table.next().to_string(), "0", "the two counters are apart");
    }

    #[test]
    fn rows_start_over_in_both_directions() {
        let table = DataTable(Arc::new(Table::from_lines("n", "a\nb\nc".to_owned()).unwrap()));
        for (n, expected) in [(0, "a"), (2, "c"), (3, "a"), (-1, "c"), (-4, "c"), (INT::MIN, "b")] {
            assert_eq!(table.wrapped(n).to_string(), expected, "{n}");
        }
        for index in [3, -4, INT::MAX, INT::MIN] {
            assert!(table.checked(index).is_err(), "{index}");
        }
    }

    #[test]
    fn says_which_options_exist() {
        let options = |name: &str, value: Dynamic| Map::from([(name.into(), value)]);
        let table = [
            (options("delimeter", ";".into()), "`data::csv` has no option `delimeter`; did you mean `delimiter`?"),
            (options("delimiter", "::".into()), "`data::csv`: `delimiter` must be one ASCII character, found `::`"),
            (options("header", 1.into()), "`data::csv`: `header` must be `true`, `false` or an array of column names"),
        ];
        for (options, expected) in table {
            assert_eq!(csv_format(options).unwrap_err().to_string(), format!("Runtime error: {expected}"));
        }
        assert_eq!(csv_format(options("delimiter", '\t'.into())).unwrap().delimiter, b'\t');
    }
}
