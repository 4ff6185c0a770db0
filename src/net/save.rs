//! Responses that go into files: below one directory, written off the worker's thread, whole or not at all.
//!
//! A [`Destination`] is where a file may be: its path is relative, never climbs, and no symbolic link on the way leads
//! out of the directory that the user allows. What arrives is written to a file beside it, under a name of its own,
//! which takes the wanted name when the last byte is there: a response that fails half-way leaves nothing behind, and of
//! two that save to one name the later one wins.

use std::future::Future;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::fs::{self, File};
use tokio::io::AsyncWrite;

use super::classify;
use super::response::Broken;
use crate::fault::Fault;

/// How much the file's own buffer holds: what one read of the socket brings.
const BUFFER_BYTES: usize = 64 * 1024;

/// A file below the directory that responses may be saved in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    root: Rc<Path>,
    below: PathBuf,
}

impl Destination {
    /// The file `wanted` below `root`.
    ///
    /// # Errors
    /// When the path is empty, absolute, or climbs with `..`: says so, and what is expected.
    pub fn new(root: &Path, wanted: &str) -> Result<Self, String> {
        let below = Path::new(wanted);
        let climbs = below.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if climbs || below.file_name().is_none() || wanted.ends_with('/') {
            return Err(format!(
                "found `{wanted}`, expected the path of a file below `{}` (`--save-dir` says where), without `..`",
                root.display()
            ));
        }
        Ok(Self { root: root.into(), below: below.components().collect() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// Makes the directories on the way, and a file of a name of its own in the last of them.
    async fn open(self) -> io::Result<Opened> {
        fs::create_dir_all(&self.root).await?;
        let root = fs::canonicalize(&self.root).await?;
        let mut parent = root.clone();
        // One step at a time: a directory must not be made behind a link that leads out.
        for part in self.below.parent().into_iter().flat_map(Path::components) {
            parent.push(part);
            match fs::create_dir(&parent).await {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            parent = fs::canonicalize(&parent).await?;
            if !parent.starts_with(&root) {
                let why = format!("a symbolic link on the way leads out of `{}`", root.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
        }
        let name = self.below.file_name().unwrap_or_default();
        let (path, part) = (parent.join(name), parent.join(format!(".loadr-{:016x}.part", fastrand::u64(..))));
        let mut file = File::options().write(true).create_new(true).open(&part).await?;
        file.set_max_buf_size(BUFFER_BYTES);
        Ok(Opened { file, part: Leftover(part), path })
    }
}

struct Opened {
    file: File,
    part: Leftover,
    path: PathBuf,
}

/// A file that is removed unless it is completed.
struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // Where it can't be removed there is nobody to tell: the request has its failure already.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

type Work<T> = Pin<Box<dyn Future<Output = io::Result<T>>>>;

enum State {
    Opening(Work<Opened>),
    Open(Opened),
    Renaming(Work<()>),
    Done,
}

/// A response on its way into a file.
pub(super) struct Saving {
    state: State,
    /// What is not handed to the file yet: at most what one read brought.
    pending: BytesMut,
    shown: PathBuf,
}

impl std::fmt::Debug for Saving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saving").field("path", &self.shown).finish_non_exhaustive()
    }
}

impl Saving {
    pub(super) fn new(destination: &Destination) -> Self {
        let shown = destination.path();
        Self { state: State::Opening(Box::pin(destination.clone().open())), pending: BytesMut::new(), shown }
    }

    /// Takes what has arrived; [`Self::poll_ready`] writes it.
    pub(super) fn take(&mut self, data: &[u8]) {
        self.pending.extend_from_slice(data);
    }

    /// Ready when all that was taken is on its way to the disk.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.poll_written(cx).map_err(|error| self.broken(&error))
    }

    /// Ready when the file is complete and has its name.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.poll_renamed(cx).map_err(|error| self.broken(&error))
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let State::Opening(work) = &mut self.state {
            let opened = ready!(work.as_mut().poll(cx))?;
            self.state = State::Open(opened);
        }
        if let State::Open(opened) = &mut self.state {
            while !self.pending.is_empty() {
                let count = ready!(Pin::new(&mut opened.file).poll_write(cx, &self.pending))?;
                self.pending.advance(count);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_renamed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        if let State::Open(opened) = &mut self.state {
            ready!(Pin::new(&mut opened.file).poll_flush(cx))?;
            if let State::Open(opened) = std::mem::replace(&mut self.state, State::Done) {
                self.state = State::Renaming(Box::pin(async move {
                    let Opened { file, mut part, path } = opened;
                    drop(file);
                    fs::rename(&part.0, path).await?;
                    part.0.clear();
                    Ok(())
                }));
            }
        }
        if let State::Renaming(work) = &mut self.state {
            ready!(work.as_mut().poll(cx))?;
            self.state = State::Done;
        }
        Poll::Ready(Ok(()))
    }

    fn broken(&self, error: &io::Error) -> Broken {
        let fault = error.raw_os_error().and_then(classify::exhausted).unwrap_or(Fault::SAVE_FILE);
        Broken { fault, why: format!("the response can't be saved as `{}`: {error}", self.shown.display()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn save(destination: &Destination, pieces: &[&str]) -> Result<(), Broken> {
        let mut saving = Saving::new(destination);
        for piece in pieces {
            std::future::poll_fn(|cx| saving.poll_ready(cx)).await?;
            saving.take(piece.as_bytes());
        }
        std::future::poll_fn(|cx| saving.poll_finish(cx)).await
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_below_the_directory_is_a_destination() {
        for bad in ["", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "a/"] {
            let error = Destination::new(Path::new("/out"), bad).unwrap_err();
            assert!(error.starts_with(&format!("found `{bad}`, expected the path of a file below `/out`")), "{error}");
        }
        for (good, path) in [("a", "/out/a"), ("./a", "/out/a"), ("a/b.txt", "/out/a/b.txt"), ("..a", "/out/..a")] {
            assert_eq!(Destination::new(Path::new("/out"), good).unwrap().path(), Path::new(path));
        }
    }

    #[tokio::test]
    async fn a_file_is_whole_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::new(&dir.path().join("new"), "sub/a.txt").unwrap();
        save(&destination, &["one", " two"]).await.unwrap();
        assert_eq!(std::fs::read_to_string(destination.path()).unwrap(), "one two");
        save(&destination, &[]).await.unwrap();
        assert_eq!(std::fs::read_to_string(destination.path()).unwrap(), "", "the later one wins");

        let mut cut = Saving::new(&Destination::new(dir.path(), "cut").unwrap());
        cut.take(b"half");
        std::future::poll_fn(|cx| cut.poll_ready(cx)).await.unwrap();
        assert_eq!(names(dir.path()).len(), 2, "it is being written");
        drop(cut);
        assert_eq!(names(dir.path()), ["new"]);
    }

    #[tokio::test]
    async fn links_that_lead_out_are_not_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        for below in ["link/a", "link/sub/a"] {
            let error = save(&Destination::new(dir.path(), below).unwrap(), &["x"]).await.unwrap_err();
            assert_eq!(error.fault, Fault::SAVE_FILE);
            assert!(error.why.contains("leads out of"), "{}", error.why);
        }
        // A link in the file's own place is replaced, not followed.
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join("file")).unwrap();
        save(&Destination::new(dir.path(), "file").unwrap(), &["x"]).await.unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        assert_eq!(names(outside.path()), ["victim"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), "x");
    }
}
