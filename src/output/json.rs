//! The report as a file: `--summary-export FILE`, a `loadr/summary/v1` document (`docs/summary.schema.json`).
//! How it is written is the business of [`WholeFile`].

use std::path::PathBuf;

use super::spec::Destination;
use super::whole_file::WholeFile;
use super::{Format, Output, OutputError};
use crate::event::RunEvent;
use crate::report::Report;

/// The format `summary`.
pub const FORMAT: Format = Format {
    name: "summary",
    help: "the result of the run as one JSON document (loadr/summary/v1), as --summary-export writes it",
    destination: Destination::Required("FILE"),
    parameters: &[],
    open: |arguments| Ok(Box::new(SummaryFile::new(&arguments.destination))),
};

/// How much room is asked for before the run. A long run with many requests makes a few hundred kilobytes.
const ROOM_BYTES: usize = 256 * 1024;

/// Writes the report when the run has ended.
#[derive(Debug)]
pub struct SummaryFile {
    file: WholeFile,
}

impl SummaryFile {
    /// For that file. Does no IO.
    #[must_use]
    pub fn new(destination: impl Into<PathBuf>) -> Self {
        Self { file: WholeFile::new(destination) }
    }

    fn write(&self, report: &Report) -> Result<(), OutputError> {
        let mut document = serde_json::to_vec_pretty(report).map_err(|source| OutputError::Serialise {
            destination: self.file.destination().display().to_string(),
            source,
        })?;
        document.push(b'\n');
        self.file.write(&document)
    }
}

impl Output for SummaryFile {
    fn check(&mut self) -> Result<(), OutputError> {
        self.file.check(ROOM_BYTES)
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        if let RunEvent::Ended(report) = event { self.write(report) } else { Ok(()) }
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::sample;
    use super::*;

    fn schema() -> jsonschema::Validator {
        let text = include_str!("../../docs/summary.schema.json");
        let schema: Value = serde_json::from_str(text).expect("the schema is JSON");
        jsonschema::draft202012::meta::validate(&schema).expect("the schema is a schema");
        jsonschema::draft202012::new(&schema).expect("the schema compiles")
    }

    #[test]
    fn every_report_follows_the_schema_and_reads_back_the_same() {
        let schema = schema();
        for (name, report) in sample::reports() {
            let document = serde_json::to_value(&report).unwrap();
            let errors: Vec<String> =
                schema.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{name}: {errors:#?}");
            let text = serde_json::to_string(&report).unwrap();
            assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report, "{name}");
        }
    }

    #[test]
    fn the_schema_is_strict() {
        let schema = schema();
        let good = serde_json::to_value(sample::rich_report()).unwrap();
        assert!(schema.is_valid(&good));
        for (pointer, value) in [
            ("/schema", serde_json::json!("loadr/summary/v2")),
            ("/run/seed", serde_json::json!(-1)),
            ("/run/started_at", serde_json::json!("yesterday")),
            ("/metrics/http_req_duration/p95", serde_json::json!("1.2")),
            ("/metrics/http_req_duration/type", serde_json::json!("histogram")),
            ("/metrics/http_req_failed/rate", serde_json::json!(2)),
            ("/requests/0/statuses", serde_json::json!({ "two hundred": 1 })),
            ("/thresholds/0/ok", Value::Null),
            ("/errors/0/side", serde_json::json!("nobody")),
            ("/generator/lag_ms", serde_json::json!({})),
            ("/series/points/0/duration", serde_json::json!(3)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not in the document")) = value;
            assert!(!schema.is_valid(&bad), "{pointer}");
        }
        for pointer in ["", "/run", "/verdict", "/requests/0", "/checks/0", "/errors/0", "/generator", "/series"] {
            let mut bad = good.clone();
            let object = bad.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
            object.insert("surprise".into(), Value::Null);
            assert!(!schema.is_valid(&bad), "an unknown property in `{pointer}`");
            let object = bad.pointer_mut(pointer).and_then(Value::as_object_mut).unwrap();
            object.remove("surprise");
            let first = object.keys().next().cloned().unwrap();
            object.remove(&first);
            assert!(!schema.is_valid(&bad), "`{pointer}` without `{first}`");
        }
    }

    #[test]
    fn a_report_replaces_the_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "old").unwrap();
        let mut output = SummaryFile::new(&path);
        output.check().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old", "a check changes nothing");
        output.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        let written: Report = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written, sample::rich_report());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_work_is_known_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/run.json");
        for (path, text) in [(missing.as_path(), "does its folder exist?"), (folder.path(), "the name of a file in it")]
        {
            let error = SummaryFile::new(path).check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("can't write `{}`: ", path.display())), "{error}");
            assert!(error.contains(text), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_a_device_is_not_replaced() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        let ended = RunEvent::Ended(Arc::new(sample::empty_report()));
        SummaryFile::new(&link).event(&ended).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&file).unwrap().contains("loadr/summary/v1"));

        SummaryFile::new("/dev/null").event(&ended).unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        // `/dev/full` is a device that is always full.
        let ended = RunEvent::Ended(Arc::new(sample::empty_report()));
        let error = SummaryFile::new("/dev/full").event(&ended).unwrap_err().to_string();
        assert!(error.starts_with("can't write `/dev/full`: ") && error.ends_with("make room, or choose another disk"));
    }
}
