//! Data folders built once and copied for each server.
//!
//! A template is built under a lock file, in a folder of another name, and renamed when it is whole, so that
//! test processes may race for it and may be killed in the middle. Its name holds a hash of the program that
//! built it: after an upgrade of the server it is built anew.

use super::program::User;
use crate::Error;
use rustix::fs::statvfs;
use std::env;
use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A part of each template's name: raise it when the way one is built changes.
const RECIPE: u32 = 1;
const MEMORY: &str = "/dev/shm";
const ROOM_BYTES: u64 = 4 << 30;

/// Where a server keeps its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// In memory where there is room, since nothing is to reach the disk anyway.
    Fast,
    /// In the system's temp folder.
    Disk,
}

/// A new temp folder that belongs to `user`.
pub(super) fn folder(user: Option<User>, storage: Storage) -> Result<TempDir, Error> {
    let root = match storage {
        Storage::Fast if has_room(Path::new(MEMORY)) => PathBuf::from(MEMORY),
        _ => env::temp_dir(),
    };
    let folder = tempfile::Builder::new()
        .prefix("perf-testkit-")
        .tempdir_in(root)?;
    own(folder.path(), user)?;
    Ok(folder)
}

/// Whether `root` holds what tests usually write. A `TMPDIR` that someone has set is a wish to respect.
fn has_room(root: &Path) -> bool {
    let bytes = statvfs(root).map(|system| system.f_bavail.saturating_mul(system.f_frsize));
    env::var_os("TMPDIR").is_none() && bytes.is_ok_and(|bytes| bytes >= ROOM_BYTES)
}

/// Copies the template `name` to `to`, and builds it first with `build` where it does not exist.
pub(super) fn copy_to(
    to: &Path,
    name: &str,
    program: &Path,
    user: Option<User>,
    build: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/perf-testkit");
    fs::create_dir_all(&store).map_err(Error::file(&store))?;
    let template = store.join(format!("{name}-{:016x}", fingerprint(program)?));
    if !template.exists() {
        let lock = store.join(format!("{name}.lock"));
        let lock = File::create(&lock).map_err(Error::file(&lock))?;
        lock.lock()?;
        if !template.exists() {
            create(&template, user, build)?;
        }
    }
    copy(&template, to, user)
}

fn create(
    template: &Path,
    user: Option<User>,
    build: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    // The server's user may have no access to the build folder, so the template is made in a temp folder.
    let folder = folder(user, Storage::Fast)?;
    let data = folder.path().join("data");
    build(&data)?;
    let partial = template.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(Error::file(&partial))?;
    }
    copy(&data, &partial, None)?;
    fs::rename(&partial, template).map_err(Error::file(template))
}

fn fingerprint(program: &Path) -> Result<u64, Error> {
    let program = program.canonicalize().map_err(Error::file(program))?;
    let metadata = program.metadata().map_err(Error::file(&program))?;
    let mut hasher = DefaultHasher::new();
    (RECIPE, &program, metadata.len(), metadata.mtime()).hash(&mut hasher);
    Ok(hasher.finish())
}

fn copy(from: &Path, to: &Path, user: Option<User>) -> Result<(), Error> {
    let mut pending = vec![(PathBuf::from(from), PathBuf::from(to))];
    while let Some((from, to)) = pending.pop() {
        // Postgres refuses a data folder that others can read.
        let mut private = DirBuilder::new();
        private.mode(0o700).create(&to).map_err(Error::file(&to))?;
        own(&to, user)?;
        for entry in fs::read_dir(&from).map_err(Error::file(&from))? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if entry.file_type()?.is_dir() {
                pending.push((from, to));
            } else {
                fs::copy(&from, &to).map_err(Error::file(&from))?;
                own(&to, user)?;
            }
        }
    }
    Ok(())
}

fn own(path: &Path, user: Option<User>) -> Result<(), Error> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid)).map_err(Error::file(path))
}
