//! What `/proc` says about a process, and signals to it.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::thread;
use std::time::Duration;

const STEP: Duration = Duration::from_millis(2);

/// `pid` and its children, children first.
pub(super) fn family(pid: Pid) -> Vec<Pid> {
    let mut members = children(pid);
    members.push(pid);
    members
}

/// Sends `signal` to each of `members`; one that has ended meanwhile is passed over.
pub(super) fn signal(members: &[Pid], signal: Signal) {
    for &member in members {
        let _ended = kill_process(member, signal);
    }
}

/// Whether the process exists and is no zombie.
pub(super) fn is_alive(pid: Pid) -> bool {
    status(pid.as_raw_nonzero().get()).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Asks `done` until it says yes, for at most `limit`, and tells whether it did.
pub(super) fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let steps = limit.as_millis() / STEP.as_millis();
    (0..steps).any(|_| {
        done() || {
            thread::sleep(STEP);
            false
        }
    })
}

fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| status(pid).is_some_and(|(_, of)| of == parent))
        .filter_map(Pid::from_raw)
        .collect()
}

/// The state letter and the parent of a process.
fn status(pid: i32) -> Option<(char, i32)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in brackets and may hold anything, so the fields begin at the last one.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some((state, parent))
}
