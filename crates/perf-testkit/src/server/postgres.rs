use super::database::{Database, Socket};
use super::instance::{Instance, attempt};
use super::program::User;
use super::supervisor::Launch;
use super::template::Storage;
use super::{controls, databases, program, template};
use crate::{Error, port};
use rustix::process::Pid;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

/// Tests of many pools on one shared server need more than the usual 100.
const MAX_CONNECTIONS: &str = "max_connections=400";
const NOT_DURABLE: [&str; 2] = ["fsync=off", "full_page_writes=off"];
/// In files of the data folder, which go with it; the usual kind outlives a SIGKILL.
const DYNAMIC_MEMORY: &str = "dynamic_shared_memory_type=mmap";

/// `postgres` needs no password; everyone else does, so that a wrong one can be tested.
const ACCESS_RULES: &str = "\
local all postgres trust
host all postgres 127.0.0.1/32 trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
";
const GUARDED_ROLE: &str = "CREATE ROLE guarded LOGIN PASSWORD 'secret'\n";

/// A Postgres server, on TCP and on a Unix socket.
///
/// The superuser `postgres` needs no password; the role `guarded` has the password `secret`, for tests of
/// wrong ones. Where the test is run by root, the server is run by the user `postgres`, else `nobody`.
///
/// ```
/// use perf_testkit::PostgresServer;
///
/// let database = PostgresServer::shared()?.database()?;
/// assert!(database.url().starts_with("postgres://postgres@127.0.0.1:"));
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    instance: Instance,
    address: SocketAddr,
    databases: AtomicU64,
}

controls!(PostgresServer);
databases!(PostgresServer, "postgres");

impl PostgresServer {
    /// A server of the test's own, which ends with this value.
    ///
    /// An acknowledged commit survives [`kill`](Self::kill), but not the end of the machine.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] without `postgres` or `initdb`, [`Error::ProgramFailed`] when `initdb` fails,
    /// [`Error::NotReady`] when the server does not come up, [`Error::File`] and [`Error::System`] when no
    /// folder, port or process can be had.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(&[])
    }

    /// As [`PostgresServer::start`], with settings of the form `name=value`.
    ///
    /// ```
    /// use perf_testkit::PostgresServer;
    ///
    /// let server = PostgresServer::start_with(&["shared_preload_libraries=auto_explain"])?;
    /// assert!(server.pid().is_some());
    /// # Ok::<(), perf_testkit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`PostgresServer::start`]; an unknown setting is an [`Error::NotReady`] with Postgres' own words.
    pub fn start_with(settings: &[&str]) -> Result<Self, Error> {
        Self::launch(Storage::Fast, &[&NOT_DURABLE, settings].concat())
    }

    fn launch(storage: Storage, settings: &[&str]) -> Result<Self, Error> {
        let program = program::find("postgres")?;
        let user = program::unprivileged();
        attempt(|| {
            let folder = template::folder(user, storage)?;
            let data = folder.path().join("data");
            let build = |data: &Path| initialise(&program, data, user);
            template::copy_to(&data, "postgres", &program, user, build)?;
            let address = port::free_address()?;
            let launch = Launch {
                program: program.clone(),
                arguments: arguments(folder.path(), address, settings),
                user,
            };
            let instance = Instance::start("Postgres", folder, launch, is_ready)?;
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
            socket: Socket::Postgres(self.instance.folder().to_owned()),
        }
    }

    fn execute(&self, statement: &str) -> Result<(), Error> {
        let client = program::find("psql")?;
        let folder = self.instance.folder().display().to_string();
        let port = self.address.port().to_string();
        let arguments = [
            "-X", "-q", "-h", &folder, "-p", &port, "-U", "postgres", "-c", statement,
        ];
        program::run(&client, arguments, None, "").map(drop)
    }
}

fn initialise(program: &Path, data: &Path, user: Option<User>) -> Result<(), Error> {
    let initdb = initdb_beside(program)?;
    let data_folder = data.display().to_string();
    let arguments = [
        "--no-sync",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        // The smallest log segment: the first one is a third of the folder otherwise.
        "--wal-segsize=1",
        "-D",
        &data_folder,
    ];
    program::run(&initdb, arguments, user, "")?;
    let single = ["--single", "-D", &data_folder, "postgres"];
    program::run(program, single, user, GUARDED_ROLE)?;
    let rules = data.join("pg_hba.conf");
    fs::write(&rules, ACCESS_RULES).map_err(Error::file(&rules))
}

/// The `initdb` of the same version, which stands beside the program behind any link.
fn initdb_beside(program: &Path) -> Result<PathBuf, Error> {
    let real = program.canonicalize().map_err(Error::file(program))?;
    let beside = real.with_file_name("initdb");
    if beside.is_file() {
        return Ok(beside);
    }
    program::find("initdb")
}

fn arguments(folder: &Path, address: SocketAddr, settings: &[&str]) -> Vec<String> {
    let own = [
        format!("listen_addresses={}", address.ip()),
        format!("port={}", address.port()),
        format!("unix_socket_directories={}", folder.display()),
        MAX_CONNECTIONS.to_owned(),
        DYNAMIC_MEMORY.to_owned(),
    ];
    let settings = settings.iter().map(|&setting| setting.to_owned());
    let data = folder.join("data").display().to_string();
    own.into_iter()
        .chain(settings)
        .flat_map(|setting| ["-c".to_owned(), setting])
        .chain(["-D".to_owned(), data])
        .collect()
}

/// The server writes its process id and its state into its lock file, which outlives a SIGKILL.
fn is_ready(folder: &Path, server: Pid) -> bool {
    let lock = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let mut lines = lock.lines().map(str::trim);
    let own = lines.next() == Some(&server.to_string());
    own && lines.nth(6) == Some("ready")
}
