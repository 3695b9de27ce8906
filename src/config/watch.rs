//! Noticing that the configuration's files have changed, and reading them again.
//!
//! A thread of its own watches the directories that the files are in (not the files: editors and Kubernetes put new ones in
//! their place), waits until nothing has changed for a moment, and reads the whole. What comes out goes down a channel; a
//! configuration with faults goes down it as faults, and whoever listens keeps what it has. Nothing is delivered where the
//! files' bytes are what they were.

use super::fault::{Fault, Sink};
use super::load::{Document, Loaded, files_of, load};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// What made the files be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A file changed.
    File,
    /// Somebody asked: SIGHUP, `switchboard reload`, the admin port.
    Asked,
}

/// The files were read again.
#[derive(Debug)]
pub struct Change {
    /// Why.
    pub cause: Cause,
    /// What they say, or what is wrong with them.
    pub result: Result<Loaded, Vec<Fault>>,
}

/// Handle of the watching thread. The thread ends when it is dropped, or when nobody listens any more.
#[derive(Debug)]
pub struct Watch {
    signals: Sender<Signal>,
}

#[derive(Debug)]
enum Signal {
    Changed,
    Asked,
    Expect(Vec<Document>),
    Failed(String),
    End,
}

impl Watch {
    /// Reads the files again now, changed or not; the result comes down the channel.
    pub fn reload(&self) {
        // Nobody there to be asked: the process is ending.
        let _ = self.signals.send(Signal::Asked);
    }

    /// These texts are about to be written to their files by ourselves, which is no change. To be called before the writing.
    pub fn expect(&self, documents: Vec<Document>) {
        let _ = self.signals.send(Signal::Expect(documents));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::End);
    }
}

/// Changes within this time of each other are one.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// A file that never stops changing is read at least this often.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(2);

/// Results that may lie unread. More changes wait, as one.
const BACKLOG: usize = 4;

/// Watches the files that [`load`] would read for `paths`, of which `loaded` is what they said last.
///
/// # Errors
/// The thread, or the system's means of watching, cannot be had.
pub fn watch(
    paths: Vec<PathBuf>,
    loaded: &Loaded,
) -> Result<(Watch, tokio::sync::mpsc::Receiver<Change>), std::io::Error> {
    let (signals, inbox) = std::sync::mpsc::channel();
    let (outbox, changes) = tokio::sync::mpsc::channel(BACKLOG);
    let events = signals.clone();
    let watcher = notify::recommended_watcher(move |event: Result<Event, notify::Error>| {
        let signal = match event {
            // Being read is no change; our own reading would wake us again.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(_) => Signal::Changed,
            Err(error) => Signal::Failed(error.to_string()),
        };
        let _ = events.send(signal);
    })
    .map_err(std::io::Error::other)?;
    let seen = fingerprint(&present(&paths, &loaded.files));
    let mut watching = Watching { watcher, directories: Vec::new(), files: loaded.files.clone(), seen };
    watching.follow(&paths, &loaded.files).map_err(std::io::Error::other)?;
    std::thread::Builder::new().name("config-watch".to_owned()).spawn(move || {
        super::stand_back();
        watching.run(&paths, &inbox, &outbox);
    })?;
    Ok((Watch { signals }, changes))
}

/// Files and their bytes, to tell a change from a touch.
type Fingerprint = BTreeMap<PathBuf, Vec<u8>>;

fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    files.iter().map(|path| (path.clone(), std::fs::read(path).unwrap_or_default())).collect()
}

struct Watching {
    watcher: RecommendedWatcher,
    directories: Vec<PathBuf>,
    /// What was read last, without faults.
    files: Vec<PathBuf>,
    seen: Fingerprint,
}

impl Watching {
    /// Watches the directories of these files as well.
    fn follow(&mut self, paths: &[PathBuf], files: &[PathBuf]) -> Result<(), notify::Error> {
        let named = paths.iter().filter(|p| p.is_dir()).cloned();
        let around = paths.iter().chain(files).filter_map(|file| {
            let parent = file.parent()?;
            Some(if parent.as_os_str().is_empty() { Path::new(".").to_owned() } else { parent.to_owned() })
        });
        for directory in named.chain(around).collect::<Vec<_>>() {
            if directory.is_dir() && !self.directories.contains(&directory) {
                self.watcher.watch(&directory, RecursiveMode::NonRecursive)?;
                self.directories.push(directory);
            }
        }
        Ok(())
    }

    fn run(mut self, paths: &[PathBuf], inbox: &Receiver<Signal>, outbox: &tokio::sync::mpsc::Sender<Change>) {
        while let Ok(first) = inbox.recv() {
            let Some((cause, failure)) = self.settle(first, inbox) else { return };
            if let Some(failure) = failure {
                let reason = format!("watching the files failed ({failure}); a reload that is asked for still works");
                let result = Err(vec![Fault::whole(Path::new(""), reason)]);
                if outbox.blocking_send(Change { cause: Cause::File, result }).is_err() {
                    return;
                }
                continue;
            }
            // Taken before the files are read: what changes in between makes another event, and differs.
            let now = fingerprint(&present(paths, &self.files));
            if cause == Cause::File && now == self.seen {
                continue;
            }
            let result = super::with_breaks(|| load(paths));
            self.seen = now;
            if let Ok(loaded) = &result {
                self.files.clone_from(&loaded.files);
                // A directory that cannot be watched is only noticed later; what was read is good.
                let _ = self.follow(paths, &loaded.files);
            }
            if outbox.blocking_send(Change { cause, result }).is_err() {
                return;
            }
        }
    }

    fn expect(&mut self, documents: Vec<Document>) {
        for document in documents.into_iter().filter(Document::is_file) {
            let bytes = document.text.as_bytes().to_vec();
            let known = self.seen.keys().find(|path| same_file(path, &document.path)).cloned();
            self.seen.insert(known.unwrap_or(document.path), bytes);
        }
    }

    /// Waits until nothing more comes. None: the end.
    fn settle(&mut self, first: Signal, inbox: &Receiver<Signal>) -> Option<(Cause, Option<String>)> {
        let deadline = Instant::now() + LONGEST_DEBOUNCE;
        let (mut cause, mut failure) = (Cause::File, None);
        let mut signal = first;
        loop {
            match signal {
                Signal::Changed => {}
                Signal::Expect(documents) => self.expect(documents),
                Signal::Asked => cause = Cause::Asked,
                Signal::Failed(error) => failure = Some(error),
                Signal::End => return None,
            }
            let wait = if cause == Cause::Asked { Duration::ZERO } else { DEBOUNCE };
            match inbox.recv_timeout(wait.min(deadline.saturating_duration_since(Instant::now()))) {
                Ok(next) => signal = next,
                Err(RecvTimeoutError::Timeout) => return Some((cause, failure.filter(|_| cause == Cause::File))),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

/// True for two ways to one file.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The files that are there now: those of the paths, those that were read last, and new ones beside them.
fn present(paths: &[PathBuf], read: &[PathBuf]) -> Vec<PathBuf> {
    let ignored = Sink::default();
    let mut files: Vec<PathBuf> = paths.iter().flat_map(|path| files_of(path, &ignored)).collect();
    for file in read {
        files.push(file.clone());
        if let Some(parent) = file.parent().filter(|p| !p.as_os_str().is_empty()) {
            files.extend(files_of(parent, &ignored));
        }
    }
    files.sort();
    files.dedup();
    files
}
