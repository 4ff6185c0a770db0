//! Where rows go: a file that at any time holds whole rows, compressed where its name ends in `.gz`.
//!
//! Rows gather in a block, which is written when it is large and at least once a second. A block that the disk does not
//! take is cut off the file again, counted and told; the next one is tried all the same, for somebody may make room. A
//! compressed file is a chain of gzip members, one a block, which every reader takes for one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::OutputError;
use crate::event::Warning;
use crate::units::format::format_count;

/// A block of this size is written.
const BLOCK_BYTES: usize = 64 * 1024;
/// A block that is compressed may be larger, for that makes it smaller.
const BLOCK_BYTES_GZ: usize = 1024 * 1024;
/// A block of this age is written, however small it is.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// The file of one output.
pub(super) struct RowFile {
    path: PathBuf,
    compressed: bool,
    file: Option<File>,
    /// Whether what was written can be taken back.
    is_regular: bool,
    /// How many bytes of whole rows it holds.
    good: u64,
    /// Rows that are not written yet; encoders append to it.
    pub block: Vec<u8>,
    block_rows: u64,
    flushed: Option<Instant>,
    written: u64,
    lost: u64,
    problem: Option<io::Error>,
    warnings: Vec<Warning>,
}

impl RowFile {
    pub fn new(destination: &str) -> Self {
        let path = PathBuf::from(destination);
        let compressed = path.extension().is_some_and(|extension| extension == "gz");
        Self {
            path,
            compressed,
            file: None,
            is_regular: false,
            good: 0,
            block: Vec::new(),
            block_rows: 0,
            flushed: None,
            written: 0,
            lost: 0,
            problem: None,
            warnings: Vec::new(),
        }
    }

    fn error(&self, source: io::Error) -> OutputError {
        OutputError::Write { destination: self.path.display().to_string(), source }
    }

    /// Finds out whether the file can be written, and leaves no trace.
    pub fn check(&self) -> Result<(), OutputError> {
        let check = |path: &Path| match fs::metadata(path) {
            // Opening a pipe would wait for its reader.
            Ok(found) if !found.is_file() && !found.is_dir() => Ok(()),
            Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                OpenOptions::new().write(true).create_new(true).open(path)?;
                fs::remove_file(path)
            }
            Err(error) => Err(error),
        };
        check(&self.path).map_err(|source| self.error(source))
    }

    /// Begins the file anew. A pipe is waited for.
    pub fn open(&mut self) -> Result<(), OutputError> {
        let file = File::create(&self.path).map_err(|source| self.error(source))?;
        self.is_regular = file.metadata().is_ok_and(|found| found.is_file());
        self.file = Some(file);
        Ok(())
    }

    /// So many rows more are in the block.
    pub fn wrote(&mut self, rows: u64) -> Result<(), OutputError> {
        self.block_rows += rows;
        let most = if self.compressed { BLOCK_BYTES_GZ } else { BLOCK_BYTES };
        if self.block.len() >= most { self.flush() } else { Ok(()) }
    }

    pub fn flush_when_due(&mut self, now: Instant) -> Result<(), OutputError> {
        let flushed = *self.flushed.get_or_insert(now);
        if now.saturating_duration_since(flushed) < FLUSH_EVERY {
            return Ok(());
        }
        self.flushed = Some(now);
        self.flush()
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.block_rows);
        match self.write() {
            Ok(bytes) => {
                self.good += bytes;
                self.written += rows;
            }
            Err(error) => {
                self.lost += rows;
                if !self.is_regular && error.kind() == io::ErrorKind::BrokenPipe {
                    // Nobody reads it any more, and nobody will.
                    return Err(self.error(error));
                }
                self.take_back(error);
            }
        }
        self.block.clear();
        Ok(())
    }

    fn write(&mut self) -> io::Result<u64> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotConnected.into()) };
        if !self.compressed {
            return file.write_all(&self.block).map(|()| self.block.len() as u64);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.block)?;
        let member = encoder.finish()?;
        file.write_all(&member).map(|()| member.len() as u64)
    }

    /// Cuts off what a failed write has left, so that the file ends with a whole row.
    fn take_back(&mut self, error: io::Error) {
        if let Some(file) = self.file.as_mut().filter(|_| self.is_regular) {
            let cut = file.set_len(self.good).and_then(|()| io::Seek::seek(file, io::SeekFrom::Start(self.good)));
            if let Err(error) = cut {
                // It can't be mended: what follows may stand behind a part of a row.
                let message = format!("may have a broken row in `{}`: {error}", self.path.display());
                self.warnings.push(Warning { message, hint: "leave out lines that can't be read".into() });
            }
        }
        if self.problem.is_none() {
            let message =
                format!("has begun to lose rows: {}", self.error(io::Error::new(error.kind(), error.to_string())));
            self.warnings.push(Warning { message, hint: "what is lost is counted at the end".into() });
        }
        self.problem = Some(error);
    }

    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`OutputError::Lost`] when rows were lost, at any time.
    pub fn finish(mut self) -> Result<(), OutputError> {
        if self.file.is_some() {
            self.flush()?;
        }
        let Some(problem) = self.problem.take() else { return Ok(()) };
        let (lost, all) = (format_count(self.lost as f64), format_count((self.lost + self.written) as f64));
        Err(OutputError::Lost(format!("lost {lost} of {all} rows: {}", self.error(problem))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn filled(path: &Path, rows: &[&str]) -> RowFile {
        let mut file = RowFile::new(path.to_str().unwrap());
        file.check().unwrap();
        file.open().unwrap();
        for row in rows {
            file.block.extend_from_slice(row.as_bytes());
            file.wrote(1).unwrap();
            file.flush().unwrap();
        }
        file
    }

    #[test]
    fn a_compressed_file_is_readable_after_every_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.gz");
        let file = filled(&path, &["one\n", "two\n"]);
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n", "it was not finished");
        file.finish().unwrap();
    }

    #[test]
    fn a_check_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "before").unwrap();
        RowFile::new(old.to_str().unwrap()).check().unwrap();
        RowFile::new(new.to_str().unwrap()).check().unwrap();
        assert_eq!(fs::read(&old).unwrap(), b"before");
        assert!(!new.exists());
        for bad in [folder.path().to_path_buf(), folder.path().join("none/x")] {
            let error = RowFile::new(bad.to_str().unwrap()).check().unwrap_err();
            assert!(matches!(error, OutputError::Write { .. }), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_once_and_counted() {
        let mut file = filled(Path::new("/dev/full"), &["one\n", "two\n", "three\n"]);
        let warnings = file.take_warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].message.starts_with("has begun to lose rows: can't write `/dev/full`: "), "{warnings:?}");
        let error = file.finish().unwrap_err();
        assert!(matches!(error, OutputError::Lost(_)));
        assert!(error.to_string().starts_with("lost 3 of 3 rows: can't write `/dev/full`: "), "{error}");
    }

    #[test]
    fn what_a_failed_write_has_left_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = filled(&path, &["one\n"]);
        // As if a part of the second row had been written when the disk was full.
        file.file.as_mut().unwrap().write_all(b"tw").unwrap();
        file.take_back(io::ErrorKind::StorageFull.into());
        file.block.extend_from_slice(b"three\n");
        file.wrote(1).unwrap();
        let _ = file.finish();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }
}
