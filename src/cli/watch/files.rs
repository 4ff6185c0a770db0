//! The files that are watched, and whether they have changed.
//!
//! What is watched are folders: editors save by renaming a new file over the old one, and a watch on the file itself
//! would go with the old one. The folder of each symbolic link on a path is watched too, so that a link that is turned
//! elsewhere is noticed; of a file that is not there, the nearest folder that is. Whether something really changed is
//! told by looking at the files: each has a [`Print`].

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::Event;
use super::settle::Sign;

/// The most symbolic links that a path may lead through.
const LINKS_MAX: usize = 40;

/// What tells one state of a file from another; none where there is no file.
type Print = Option<State>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    /// Where it really lies.
    path: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// The files, what they looked like last, and who tells when something happens to them.
pub struct Files {
    prints: BTreeMap<PathBuf, Print>,
    /// Names that events are about; others are of no interest.
    names: Arc<Mutex<BTreeSet<OsString>>>,
    folders: BTreeSet<PathBuf>,
    watcher: Option<RecommendedWatcher>,
    /// Something happened that could not be told, as too much waited to be taken.
    missed: Arc<AtomicBool>,
}

/// What is different now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The files that are not what they were.
    pub changed: Vec<PathBuf>,
    /// Whether one of them was there and is gone, or held something and is empty.
    pub unsettled: bool,
}

impl Files {
    /// Watches nothing yet; what happens will be told to `events`.
    ///
    /// # Errors
    /// When the system can't watch files; they can still be looked at.
    pub fn new(events: SyncSender<Event>) -> (Self, Result<(), notify::Error>) {
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let missed = Arc::new(AtomicBool::new(false));
        let (known, untold) = (names.clone(), missed.clone());
        // It must not wait: who takes events may be asking the watcher for something at this moment.
        let send = move |path, sign| {
            if events.try_send(Event::File(path, sign)).is_err() {
                untold.store(true, Ordering::Relaxed);
            }
        };
        let tell = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else {
                // The system has lost events: it is time to look.
                return send(PathBuf::new(), Sign::Other);
            };
            let Some(sign) = sign(&event.kind) else { return };
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let about = |path: &PathBuf| path.file_name().is_none_or(|name| known.contains(name));
            let paths: Vec<_> = event.paths.into_iter().filter(about).collect();
            drop(known);
            paths.into_iter().for_each(|path| send(path, sign));
        };
        let (watcher, result) = match notify::recommended_watcher(tell) {
            Ok(watcher) => (Some(watcher), Ok(())),
            Err(error) => (None, Err(error)),
        };
        (Self { prints: BTreeMap::new(), names, folders: BTreeSet::new(), watcher, missed }, result)
    }

    /// Whether something happened that was not told; once.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Looks only when it is asked to, as nobody tells when something happens.
    pub fn stop_watching(&mut self) {
        self.watcher = None;
    }

    /// Watches these files from now on. Those that were known before keep what they looked like then.
    ///
    /// # Errors
    /// When a folder can't be watched.
    pub fn set(&mut self, paths: impl IntoIterator<Item = PathBuf>) -> Result<(), notify::Error> {
        let mut before = std::mem::take(&mut self.prints);
        for path in paths {
            let path = std::path::absolute(&path).unwrap_or(path);
            let print = before.remove(&path).unwrap_or_else(|| print(&path));
            self.prints.insert(path, print);
        }
        self.watch_folders()
    }

    /// Watches these files as well.
    ///
    /// # Errors
    /// When a folder can't be watched.
    pub fn add(&mut self, paths: impl IntoIterator<Item = PathBuf>) -> Result<(), notify::Error> {
        let all: Vec<_> = self.prints.keys().cloned().chain(paths).collect();
        self.set(all)
    }

    /// What is different from when the files were last taken.
    #[must_use]
    pub fn look(&self) -> Changes {
        let mut changes = Changes::default();
        for (path, before) in &self.prints {
            let now = print(path);
            if now != *before {
                let had_content = before.as_ref().is_some_and(|state| state.length > 0);
                let has_content = now.as_ref().is_some_and(|state| state.length > 0);
                changes.unsettled |= had_content && !has_content;
                changes.changed.push(path.clone());
            }
        }
        changes
    }

    /// Takes the files as they are now: changes count from here. Folders that are new are watched.
    ///
    /// # Errors
    /// When a folder can't be watched.
    pub fn take(&mut self) -> Result<(), notify::Error> {
        for (path, known) in &mut self.prints {
            *known = print(path);
        }
        self.watch_folders()
    }

    fn watch_folders(&mut self) -> Result<(), notify::Error> {
        let mut folders = BTreeSet::new();
        let mut names = BTreeSet::new();
        for path in self.prints.keys() {
            places(path, &mut folders, &mut names);
        }
        // A folder that goes away tells so under its own name.
        names.extend(folders.iter().filter_map(|folder| folder.file_name()).map(ToOwned::to_owned));
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        for gone in self.folders.difference(&folders) {
            // A folder that was removed is not watched any more already.
            let _ = watcher.unwatch(gone);
        }
        let mut result = Ok(());
        for folder in &folders {
            // A folder that was removed and made anew needs a new watch; one that is watched already stays so.
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                result = Err(error);
            }
        }
        self.folders = folders;
        result
    }
}

/// What an event of the system means; none for those that change nothing, such as reading.
fn sign(kind: &EventKind) -> Option<Sign> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Sign::Closed),
        EventKind::Access(_) => None,
        // Only Linux tells when a file that was written to is closed.
        EventKind::Modify(ModifyKind::Data(_)) if cfg!(target_os = "linux") => Some(Sign::Writing),
        _ => Some(Sign::Other),
    }
}

fn print(path: &Path) -> Print {
    let found = std::fs::metadata(path).ok()?;
    Some(State {
        path: std::fs::canonicalize(path).ok()?,
        modified: found.modified().ok(),
        length: found.len(),
        inode: inode(&found),
    })
}

#[cfg(unix)]
fn inode(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

/// The folders that tell of changes of a file, and the names in them that count: of the file, of each symbolic link that
/// leads to it, of each folder that is missing.
fn places(path: &Path, folders: &mut BTreeSet<PathBuf>, names: &mut BTreeSet<OsString>) {
    let mut links = 0;
    let mut waiting: Vec<OsString> = parts(path);
    let mut at = PathBuf::new();
    while let Some(part) = waiting.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let found = std::fs::symlink_metadata(&next);
        let is_link = found.as_ref().is_ok_and(std::fs::Metadata::is_symlink) && links < LINKS_MAX;
        if waiting.is_empty() || is_link || found.is_err() {
            if at.parent().is_some() || at.has_root() {
                folders.insert(at.clone());
            }
            names.insert(part);
        }
        if is_link && let Ok(target) = std::fs::read_link(&next) {
            links += 1;
            if target.has_root() {
                at = PathBuf::new();
            }
            waiting.extend(parts(&target));
        } else if found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Once this is there, what comes after it is looked for again.
            return;
        } else {
            at = next;
        }
    }
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let kept = path.components().filter(|part| !matches!(part, Component::CurDir));
    let mut parts: Vec<_> = kept.map(|part| part.as_os_str().to_owned()).collect();
    parts.reverse();
    parts
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_of_links_and_of_what_is_missing_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for folder in ["real", "links", "versions/1"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("real/a.rhai"), "x").unwrap();
        symlink("../real/a.rhai", root.join("links/a.rhai")).unwrap();
        symlink("versions/1", root.join("current")).unwrap();
        for (path, folders, names) in [
            ("real/a.rhai", vec!["real"], vec!["a.rhai"]),
            ("links/a.rhai", vec!["links", "real"], vec!["a.rhai"]),
            ("real/none.csv", vec!["real"], vec!["none.csv"]),
            ("missing/deep/none.csv", vec![""], vec!["missing"]),
            ("current/b.csv", vec!["", "versions/1"], vec!["b.csv", "current"]),
        ] {
            let (mut found, mut called) = (BTreeSet::new(), BTreeSet::new());
            places(&root.join(path), &mut found, &mut called);
            let expected: BTreeSet<_> =
                folders.iter().map(|name| if name.is_empty() { root.clone() } else { root.join(name) }).collect();
            assert_eq!(found, expected, "{path}");
            assert_eq!(called, names.into_iter().map(OsString::from).collect(), "{path}");
        }
    }

    #[test]
    fn a_change_is_told_until_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let (a, b) = (root.join("a"), root.join("b"));
        fs::write(&a, "one").unwrap();
        let (events, _kept) = std::sync::mpsc::sync_channel(1_000);
        let (mut files, _) = Files::new(events);
        files.set([a.clone(), b.clone()]).unwrap();
        assert_eq!(files.look(), Changes::default());
        fs::write(&b, "new").unwrap();
        assert_eq!(files.look(), Changes { changed: vec![b.clone()], unsettled: false });
        files.take().unwrap();
        assert_eq!(files.look(), Changes::default());
        fs::write(&a, "").unwrap();
        assert_eq!(files.look(), Changes { changed: vec![a.clone()], unsettled: true }, "empty for a moment");
        fs::remove_file(&a).unwrap();
        assert_eq!(files.look(), Changes { changed: vec![a], unsettled: true }, "gone for a moment");
    }
}
