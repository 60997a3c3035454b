//! A server of any kind: its folder, its process, and how to tell that it is ready.

use super::process;
use super::supervisor::{Launch, Supervised};
use crate::Error;
use rustix::process::{Pid, Signal};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// A first start recovers nothing and takes a second at most; a restart after `kill` may replay a log.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 5;
const LOG_LINES: usize = 8;

type Ready = Box<dyn Fn(&Path, Pid) -> bool + Send + Sync>;

pub(super) struct Instance {
    name: &'static str,
    launch: Launch,
    ready: Ready,
    // Declared before the folder, so that the server is gone when the folder is removed.
    process: Mutex<Option<Supervised>>,
    folder: TempDir,
}

impl Instance {
    /// Starts the server and waits until `ready`, which is given its folder and process, says so.
    pub(super) fn start(
        name: &'static str,
        folder: TempDir,
        launch: Launch,
        ready: impl Fn(&Path, Pid) -> bool + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let instance = Self {
            name,
            launch,
            ready: Box::new(ready),
            process: Mutex::new(None),
            folder,
        };
        instance.restart()?;
        Ok(instance)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        let pid = self.process().as_ref()?.server();
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    pub(super) fn kill(&self) {
        if let Some(process) = self.process().take() {
            process.kill();
        }
    }

    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub(super) fn restart(&self) -> Result<(), Error> {
        let mut running = self.process();
        if let Some(process) = running.take() {
            process.kill();
        }
        let process = Supervised::spawn(&self.launch, self.folder())?;
        let settled = || !process.is_alive() || (self.ready)(self.folder(), process.server());
        let settled = process::wait_until(READY_WITHIN, settled);
        if settled && process.is_alive() {
            *running = Some(process);
            return Ok(());
        }
        process.kill();
        Err(Error::NotReady {
            server: self.name,
            log: self.log_tail(),
        })
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process().as_ref() {
            process.signal(signal);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Supervised>> {
        // A test that panicked while it held the lock leaves nothing half-done behind.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.folder().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("name", &self.name)
            .field("folder", &self.folder.path())
            .finish_non_exhaustive()
    }
}

/// Calls `start` again on the chance that another process took the chosen port in between.
pub(super) fn attempt<T>(mut start: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut outcome = start();
    for _ in 1..ATTEMPTS {
        match outcome {
            Err(error) if error.is_transient() => outcome = start(),
            settled => return settled,
        }
    }
    outcome
}
