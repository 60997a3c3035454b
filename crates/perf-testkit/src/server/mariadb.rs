use super::database::{Database, Socket};
use super::instance::{Instance, attempt};
use super::supervisor::Launch;
use super::template::Storage;
use super::{controls, databases, program, template};
use crate::{Error, port};
use rustix::process::Pid;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The log reaches the operating system at each commit and the disk whenever that pleases.
const NOT_DURABLE: [&str; 2] = [
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
];
const GREETED_WITHIN: Duration = Duration::from_secs(1);
/// What fits a copy quickly at first; the server lets the data file grow from here.
const SMALL_FILES: [&str; 2] = [
    "--innodb-data-file-path=ibdata1:5M:autoextend",
    "--innodb-log-file-size=16M",
];

/// A MariaDB server, on TCP and on a Unix socket, with `LOCAL INFILE` allowed.
///
/// The user `root` has an empty password; any other password is refused.
///
/// ```
/// use perf_testkit::MariaDbServer;
///
/// let database = MariaDbServer::shared()?.database()?;
/// assert!(database.url().starts_with("mysql://root@127.0.0.1:"));
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct MariaDbServer {
    instance: Instance,
    address: SocketAddr,
    databases: AtomicU64,
}

controls!(MariaDbServer);
databases!(MariaDbServer, "mysql");

impl MariaDbServer {
    /// A server of the test's own, which ends with this value.
    ///
    /// An acknowledged commit survives [`kill`](Self::kill), but not the end of the machine.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] without `mariadbd` or `mariadb-install-db`, [`Error::ProgramFailed`] when the
    /// latter fails, [`Error::NotReady`] when the server does not come up, [`Error::File`] and
    /// [`Error::System`] when no folder, port or process can be had.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// As [`MariaDbServer::start`], with further arguments in the form of the command line.
    ///
    /// ```
    /// use perf_testkit::MariaDbServer;
    ///
    /// let server = MariaDbServer::start_with(&["--max-allowed-packet=1M"])?;
    /// assert!(server.pid().is_some());
    /// # Ok::<(), perf_testkit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`MariaDbServer::start`]; an unknown argument is an [`Error::NotReady`] with MariaDB's own words.
    pub fn start_with(arguments: &[&str]) -> Result<Self, Error> {
        Self::launch(Storage::Fast, &[&NOT_DURABLE, arguments].concat())
    }

    fn launch(storage: Storage, arguments: &[&str]) -> Result<Self, Error> {
        let program = program::find("mariadbd")?;
        attempt(|| {
            let folder = template::folder(None, storage)?;
            let data = folder.path().join("data");
            template::copy_to(&data, "mariadb", &program, None, initialise)?;
            let address = port::free_address()?;
            let launch = Launch {
                program: program.clone(),
                arguments: own_arguments(folder.path(), address, arguments),
                user: None,
            };
            let instance = Instance::start("MariaDB", folder, launch, is_ready)?;
            Ok(Self {
                instance,
                address,
                databases: AtomicU64::new(0),
            })
        })
    }

    fn named(&self, name: String) -> Database {
        Database {
            name,
            address: self.address,
            socket: Socket::MariaDb(socket(self.instance.folder())),
        }
    }

    fn execute(&self, statement: &str) -> Result<(), Error> {
        let client = program::find("mariadb")?;
        let socket = format!("--socket={}", socket(self.instance.folder()).display());
        let arguments = ["--no-defaults", &socket, "--user=root", "-e", statement];
        program::run(&client, arguments, None, "").map(drop)
    }
}

fn initialise(data: &Path) -> Result<(), Error> {
    let program = program::find("mariadb-install-db")?;
    let temporary = temporary_files_in(data);
    let data = format!("--datadir={}", data.display());
    let mut arguments = vec![
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        &data,
        &temporary,
    ];
    arguments.extend(SMALL_FILES);
    arguments.extend(as_root());
    program::run(&program, arguments, None, "").map(drop)
}

fn own_arguments(folder: &Path, address: SocketAddr, further: &[&str]) -> Vec<String> {
    let data = folder.join("data");
    let own = [
        "--no-defaults".to_owned(),
        format!("--datadir={}", data.display()),
        temporary_files_in(folder),
        format!("--bind-address={}", address.ip()),
        format!("--port={}", address.port()),
        format!("--socket={}", socket(folder).display()),
        format!("--pid-file={}", folder.join("pid").display()),
        "--skip-name-resolve".to_owned(),
        "--local-infile=1".to_owned(),
        "--max-connections=400".to_owned(),
    ];
    let fixed = SMALL_FILES.into_iter().chain(as_root());
    let further = fixed.chain(further.iter().copied());
    own.into_iter().chain(further.map(str::to_owned)).collect()
}

/// A server that starts deletes what it takes for left-over files in its folder for temporary files, also
/// those of another server that runs: each needs a folder to itself.
fn temporary_files_in(folder: &Path) -> String {
    format!("--tmpdir={}", folder.display())
}

/// MariaDB is run by root only when told so explicitly.
fn as_root() -> Option<&'static str> {
    program::is_root().then_some("--user=root")
}

/// The server greets each connection once it serves.
fn is_ready(folder: &Path, _server: Pid) -> bool {
    let greeted = || -> std::io::Result<()> {
        let mut stream = UnixStream::connect(socket(folder))?;
        stream.set_read_timeout(Some(GREETED_WITHIN))?;
        stream.read_exact(&mut [0; 5])
    };
    greeted().is_ok()
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}
