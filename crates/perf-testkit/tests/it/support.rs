//! What more than one module of tests needs.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Waits up to 20 s for `done`.
pub(crate) fn eventually(mut done: impl FnMut() -> bool) -> bool {
    (0..2_000).any(|_| {
        done() || {
            thread::sleep(Duration::from_millis(10));
            false
        }
    })
}

/// Whether the process exists and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state letter of a process: `R`, `S`, `T` for stopped, `Z` for zombie.
pub(crate) fn state(pid: u32) -> Option<char> {
    stat(pid)?.chars().next()
}

/// Whether the shared memory that a Postgres has noted in its lock file exists.
pub(crate) fn shared_memory_exists(identifier: &str) -> bool {
    let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    segments
        .lines()
        .any(|line| line.split_whitespace().nth(1) == Some(identifier))
}

/// The shared memory of the Postgres in this folder.
pub(crate) fn shared_memory(folder: &Path) -> Option<String> {
    let lock = fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    let identifier = lock.lines().nth(6)?.split_whitespace().nth(1)?;
    Some(identifier.to_owned())
}

/// The processes whose parent is `pid`.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let parent = pid.to_string();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter(|&pid| stat(pid).is_some_and(|stat| stat.split(' ').nth(1) == Some(&parent)))
        .collect()
}

/// Runs a statement through `psql` and returns what it printed, or `None` when it failed.
pub(crate) fn psql(url: &str, statement: &str) -> Option<String> {
    let mut client = Command::new("psql");
    client.args(["-XqAt", "-d", url, "-c", statement]);
    printed(client)
}

/// Runs a statement through `mariadb`, over TCP or over the socket that the URL names.
pub(crate) fn mariadb(url: &str, statement: &str) -> Option<String> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (authority, database) = place.strip_prefix("mysql://root@")?.split_once('/')?;
    let mut client = Command::new("mariadb");
    client.args(["--no-defaults", "--user=root", "-N", "--local-infile=1"]);
    match query.strip_prefix("socket=") {
        Some(socket) => client.arg(format!("--socket={socket}")),
        None => {
            let port = authority.strip_prefix("127.0.0.1:")?;
            client.args(["-h", "127.0.0.1", "-P", port])
        }
    };
    client.args(["-D", database, "-e", statement]);
    printed(client)
}

/// Sends one inline command to a Redis and returns the first line of the answer.
pub(crate) fn redis(address: SocketAddr, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

fn printed(mut client: Command) -> Option<String> {
    let output = client.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    output
        .status
        .success()
        .then(|| printed.trim_end().to_owned())
}

fn stat(pid: u32) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(line.rsplit_once(") ")?.1.to_owned())
}
