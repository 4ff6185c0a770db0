//! A file that is written at one go when the run has ended.
//!
//! A reader never sees half a document: it is written beside its destination and renamed over it. Whether that will work
//! is found out before the run, so that an hour of load does not end in "permission denied". A destination that is no
//! ordinary file (`/dev/stdout`, a named pipe) is written directly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::OutputError;

/// Where a document goes.
#[derive(Clone, Debug)]
pub struct WholeFile {
    destination: PathBuf,
}

impl WholeFile {
    /// That file. Does no IO.
    #[must_use]
    pub fn new(destination: impl Into<PathBuf>) -> Self {
        Self { destination: destination.into() }
    }

    /// The destination as it was given.
    #[must_use]
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Finds out whether so many bytes can be written there; changes nothing.
    ///
    /// # Errors
    /// When they can't.
    pub fn check(&self, room: usize) -> Result<(), OutputError> {
        let check = || -> io::Result<()> {
            match Target::of(&self.destination)? {
                // Opening a pipe would wait for its reader; whether it is there shows at the end.
                Target::Direct(_) => Ok(()),
                Target::Replace(path) => Temporary::beside(&path)?.fill(&vec![b' '; room]),
            }
        };
        check().map_err(|source| self.error(source))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// When it can't be written; the file is then what it was.
    pub fn write(&self, document: &[u8]) -> Result<(), OutputError> {
        match Target::of(&self.destination).map_err(|source| self.error(source))? {
            Target::Direct(path) => write_through(&path, document),
            Target::Replace(path) => replace(&path, document),
        }
        .map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> OutputError {
        OutputError::Write { destination: self.destination.display().to_string(), source }
    }
}

/// How a destination is written.
enum Target {
    /// Something that is no ordinary file.
    Direct(PathBuf),
    /// A file that exists or will; links are followed, so that a link stays one.
    Replace(PathBuf),
}

impl Target {
    fn of(destination: &Path) -> io::Result<Self> {
        match fs::metadata(destination) {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if found.is_file() => {
                if found.permissions().readonly() {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok(Self::Replace(fs::canonicalize(destination)?))
            }
            Ok(_) => Ok(Self::Direct(destination.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Replace(destination.into())),
            Err(error) => Err(error),
        }
    }
}

fn write_through(path: &Path, document: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(document)?;
    file.flush()
}

fn replace(path: &Path, document: &[u8]) -> io::Result<()> {
    let mut temporary = Temporary::beside(path)?;
    temporary.fill(document)?;
    fs::rename(&temporary.path, path)?;
    temporary.renamed = true;
    Ok(())
}

/// A file beside the destination that goes away unless it was renamed.
struct Temporary {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Temporary {
    fn beside(destination: &Path) -> io::Result<Self> {
        let Some(name) = destination.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no file name"));
        };
        // The process id keeps two runs apart; a file that a killed process of the same id left behind is overwritten.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let path = destination.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file, renamed: false })
    }

    /// Writes all of it down to the disk: only then is it known that there is room.
    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)?;
        self.file.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // It is already an error's way out, or only a trial; a leftover does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}
