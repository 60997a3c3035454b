//! The shell between a test process and its server: see [`super`] for why.

use super::process;
use super::program::User;
use crate::Error;
use rustix::process::{Pid, Signal};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// Starts the server, tells its process id, and waits for the end of its input, which is the end of the
/// test process. The word `keep` instead of the end leaves the folder for a restart.
///
/// The shell ignores SIGHUP, because the kernel sends it to a process group that has lost its parent while
/// a member, here a paused server, is stopped. A killed Postgres leaves a shared memory segment to the
/// machine, of which there are 4,096; its number ends the seventh line of the lock file.
const SCRIPT: &str = r#"
folder=$1
shift
"$@" </dev/null >>"$folder/log" 2>&1 &
server=$!
trap '' HUP
echo "$server"
read -r end
for status in $(grep -ls "^PPid:[[:space:]]*$server\$" /proc/[0-9]*/status); do
    child=${status#/proc/}
    kill -KILL "${child%/status}" 2>/dev/null
done
kill -KILL "$server" 2>/dev/null
wait
lock=$folder/data/postmaster.pid
if [ -f "$lock" ]; then
    ipcrm -m "$(sed -n '7s/.* //p' "$lock")" 2>/dev/null
fi
[ "$end" = keep ] || rm -rf "$folder"
"#;

const GONE_WITHIN: Duration = Duration::from_secs(10);

/// What to run, where, and as whom.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) user: Option<User>,
}

/// A server and the shell that ends it when this value, or this process, ends.
#[derive(Debug)]
pub(super) struct Supervised {
    shell: Child,
    lifeline: Option<ChildStdin>,
    server: Pid,
}

impl Supervised {
    pub(super) fn spawn(launch: &Launch, folder: &Path) -> Result<Self, Error> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "perf-testkit"])
            .arg(folder)
            .arg(&launch.program)
            .args(&launch.arguments)
            .current_dir("/")
            // A terminal's Ctrl-C or a runner's kill reaches the test's group; the shell must outlive it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(user) = launch.user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut shell = command.spawn()?;
        let lifeline = shell.stdin.take();
        let mut line = String::new();
        if let Some(output) = shell.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let server = line.trim().parse().ok().and_then(Pid::from_raw);
        let server =
            server.ok_or_else(|| io::Error::other("the supervising shell did not start"))?;
        Ok(Self {
            shell,
            lifeline,
            server,
        })
    }

    pub(super) fn server(&self) -> Pid {
        self.server
    }

    pub(super) fn is_alive(&self) -> bool {
        process::is_alive(self.server)
    }

    pub(super) fn signal(&self, signal: Signal) {
        process::signal(&process::family(self.server), signal);
    }

    /// Ends the server and keeps its folder.
    pub(super) fn kill(mut self) {
        let members = process::family(self.server);
        process::signal(&members, Signal::KILL);
        if let Some(lifeline) = &mut self.lifeline {
            let _ended = lifeline.write_all(b"keep\n");
        }
        let gone = || !members.iter().any(|&member| process::is_alive(member));
        let _gone = process::wait_until(GONE_WITHIN, gone);
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ended = self.shell.wait();
    }
}
