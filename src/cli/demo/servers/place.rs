//! Where the servers' files live: a cache that outlives the process (unpacked programs, initialised data directories)
//! and a run directory that does not.

use super::{Result, at};
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};

/// The longest path that still leaves room for a socket's name: the kernel takes 107 bytes.
const LONGEST_BASE: usize = 60;

/// A directory for one server or router, removed with what is in it when dropped.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes a new, empty directory that only this user may read. Its path is short enough for a unix socket in it.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let path = process_dir()?.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
        private_dir(&path)?;
        Ok(RunDir { path })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // What is left over is swept by the next process that starts servers.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The numeric id of the user this process runs as.
pub(super) fn uid() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |m| m.uid())
}

/// The directory shared by all processes of this user that start servers: port reservations and run directories.
pub(super) fn base() -> Result<PathBuf> {
    let mut base = std::env::temp_dir();
    if base.as_os_str().len() > LONGEST_BASE {
        base = PathBuf::from("/tmp");
    }
    base.push(format!("switchboard-{}", uid()));
    private_dir(&base)?;
    Ok(base)
}

/// Makes a directory, and those above it, for this user alone.
pub(super) fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at("create", path))
}

/// This process's own directory, made once. A lock held for as long as the process lives says that it is in use;
/// directories whose lock is free belong to the dead and are swept.
fn process_dir() -> Result<PathBuf> {
    static MINE: LazyLock<Mutex<Option<(PathBuf, File)>>> = LazyLock::new(|| Mutex::new(None));
    let mut mine = MINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((path, _)) = mine.as_ref() {
        return Ok(path.clone());
    }
    let base = base()?.join("run");
    private_dir(&base)?;
    let _gate = lock(&base.join(".gate"))?;
    sweep(&base);
    let path = base.join(std::process::id().to_string());
    private_dir(&path)?;
    let held = lock(&path.join(".lock"))?;
    *mine = Some((path.clone(), held));
    Ok(path)
}

/// Removes the directories of processes that are gone. Best effort: what cannot be removed is left.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for dir in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let free = File::open(dir.join(".lock")).is_ok_and(|file| file.try_lock().is_ok());
        if free || !dir.join(".lock").exists() {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// Opens a file and takes its lock, waiting for whoever has it. Dropping the file gives the lock back.
pub(super) fn lock(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path).map_err(at("open", path))?;
    file.lock().map_err(at("lock", path))?;
    Ok(file)
}

/// The cache of unpacked programs and initialised data directories. `SWITCHBOARD_SERVERS` names it; otherwise it is
/// `servers` in the build directory that this program runs from, otherwise in the user's cache directory.
pub(super) fn cache() -> Result<PathBuf> {
    let path = std::env::var_os("SWITCHBOARD_SERVERS").map(PathBuf::from).or_else(in_build_dir).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        cache.or_else(home).unwrap_or_else(std::env::temp_dir).join("switchboard").join("servers")
    });
    private_dir(&path)?;
    Ok(path)
}

/// Cargo marks its build directory with this file; programs and tests run from below it.
fn in_build_dir() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let build =
        program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists() && dir.join(".rustc_info.json").exists());
    build.map(|dir| dir.join("servers"))
}

/// Copies a directory with all below it. Sockets and the like are left out.
pub(super) fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    private_dir(to)?;
    for entry in fs::read_dir(from).map_err(at("read", from))? {
        let entry = entry.map_err(at("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at("read", &source))?;
        if kind.is_dir() {
            copy_dir(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(at("copy", &source))?;
        }
    }
    Ok(())
}

/// Finds a program on the `PATH` and where system programs are, which is not on everyone's `PATH`.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// The last lines of a file, for an error message.
pub(super) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all.split_at(all.len().saturating_sub(lines)).1.join("\n")
}
