use super::instance::{Instance, attempt};
use super::shared::Shared;
use super::supervisor::Launch;
use super::template::Storage;
use super::{controls, program, resp, template};
use crate::{Error, port};
use rustix::process::Pid;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A Redis server that keeps nothing on disk unless told to.
///
/// ```
/// use perf_testkit::RedisServer;
///
/// let server = RedisServer::shared()?;
/// assert!(server.url().starts_with("redis://127.0.0.1:"));
/// assert_ne!(server.key_prefix(), server.key_prefix());
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    instance: Instance,
    address: SocketAddr,
}

controls!(RedisServer);

impl RedisServer {
    /// The server of this test process, started on first use.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: Shared<RedisServer> = Shared::new();
        SHARED.start_once(Self::start)
    }

    /// A server of the test's own, which ends with this value.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] without `redis-server`, [`Error::NotReady`] when it ends at once,
    /// [`Error::System`] when no folder, port or process can be had.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// As [`RedisServer::start`], with further arguments in the form of the command line.
    ///
    /// ```
    /// use perf_testkit::RedisServer;
    ///
    /// let small = RedisServer::start_with(&["--maxmemory", "2mb", "--appendonly", "yes"])?;
    /// assert!(small.pid().is_some());
    /// # Ok::<(), perf_testkit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`]; an unknown argument is an [`Error::NotReady`] that holds Redis's own words.
    pub fn start_with(arguments: &[&str]) -> Result<Self, Error> {
        Self::start_as(|folder, address| Ok(own_arguments(folder, address, arguments)))
    }

    /// A sentinel with these lines in the file that it keeps its state in.
    pub(super) fn start_sentinel(settings: &str) -> Result<Self, Error> {
        Self::start_as(|folder, address| {
            let file = folder.join("sentinel.conf");
            fs::write(&file, settings)?;
            let mut arguments = own_arguments(folder, address, &["--sentinel"]);
            arguments.insert(0, file.display().to_string());
            Ok(arguments)
        })
    }

    fn start_as(
        arguments: impl Fn(&Path, SocketAddr) -> io::Result<Vec<String>>,
    ) -> Result<Self, Error> {
        let program = program::find("redis-server")?;
        attempt(|| {
            let folder = template::folder(None, Storage::Fast)?;
            let address = port::free_address()?;
            let launch = Launch {
                program: program.clone(),
                arguments: arguments(folder.path(), address)?,
                user: None,
            };
            let instance = Instance::start("Redis", folder, launch, is_ready)?;
            Ok(Self { instance, address })
        })
    }

    /// The URL of database 0.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_through(self.address)
    }

    /// The URL of database 0 with another address in front, as that of a fault proxy.
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        format!("redis://{address}/")
    }

    /// A key prefix that no other test of this server is given, ending in a colon.
    #[must_use]
    pub fn key_prefix(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("test{}-{number}:", process::id())
    }

    pub(super) fn ask(&self, command: &[&str]) -> Result<String, Error> {
        resp::ask(&socket(self.instance.folder()), command)
    }
}

fn own_arguments(folder: &Path, address: SocketAddr, further: &[&str]) -> Vec<String> {
    let (folder, socket) = (folder.display(), socket(folder));
    let own = [
        ["--bind".to_owned(), address.ip().to_string()],
        ["--port".to_owned(), address.port().to_string()],
        ["--unixsocket".to_owned(), socket.display().to_string()],
        ["--dir".to_owned(), folder.to_string()],
        ["--save".to_owned(), String::new()],
    ];
    let further = further.iter().map(|&argument| argument.to_owned());
    own.into_iter().flatten().chain(further).collect()
}

fn is_ready(folder: &Path, _server: Pid) -> bool {
    match resp::ask(&socket(folder), &["PING"]) {
        Ok(_) => true,
        // A server that wants a password is up; one that still loads its file is not.
        Err(Error::Refused { answer, .. }) => answer.starts_with("NOAUTH"),
        Err(_) => false,
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}
