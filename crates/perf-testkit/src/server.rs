//! Real servers as child processes.
//!
//! Each server listens on free ports of the loopback address and keeps its files in a temp folder of its
//! own. `shared()` starts one for the whole test process on first use; `start()` starts one that belongs
//! to the test, which may then [`kill`](RedisServer::kill), [`pause`](RedisServer::pause),
//! [`resume`](RedisServer::resume) and [`restart`](RedisServer::restart) it.
//!
//! # No server outlives its test
//!
//! A server is the child of a small shell that holds the reading end of a pipe; the test process holds
//! the writing end and never writes to it. However the test process ends, be it by return, panic, abort or
//! SIGKILL, the kernel closes the pipe; the shell then reads the end of its input, kills the server with
//! all its children, and removes the folder. The usual alternative, `PR_SET_PDEATHSIG`, is bound to the
//! *thread* that spawned the child, says nothing to the server's own children when they are stopped, and leaves
//! the folder behind.
//!
//! # What starting costs
//!
//! Measured with the example `start_up` of this crate on a 2-core virtual machine that was busy compiling (load 4):
//! the median of 5 starts, and beside it the start that also builds the data folder.
//!
//! | server | start | with the data folder to build | a database or prefix |
//! |---|---|---|---|
//! | [`RedisServer`] | 15 ms | | free |
//! | [`RedisCluster`] | 2 s, in which Redis lets no new master serve | | free |
//! | [`RedisSentinel`] | some seconds, until the sentinel knows the replica | | free |
//! | [`PostgresServer`] | 95 ms | 2 s | 85 ms |
//! | [`MariaDbServer`] | 140 ms | 1 s | 10 ms |
//!
//! The data folder of the databases is built once and kept in `target/perf-testkit`; each start copies it, to
//! `/dev/shm` where 4 GiB are free there and `TMPDIR` is not set, else to the temp folder, where a start
//! of Postgres takes 0.5 s. Postgres and MariaDB do not wait for the disk (`fsync=off` and its like), yet
//! hand every commit to the operating system before they acknowledge it, so an acknowledged commit survives
//! `kill` and is lost only with the machine. `start_durable()` waits for the disk and always keeps to it.
//!
//! # Ports
//!
//! Ports are taken below the range that the kernel gives to outgoing connections, so that none of those
//! takes the port of a killed server before it restarts. Readiness is judged through the server's own
//! folder, never by connecting to the port: another test process may have been quicker to bind it, and the
//! probe would then greet a stranger.

mod cluster;
mod database;
mod instance;
mod mariadb;
mod postgres;
mod process;
mod program;
mod redis;
mod resp;
mod sentinel;
mod shared;
mod supervisor;
mod template;

pub use cluster::RedisCluster;
pub use database::Database;
pub use mariadb::MariaDbServer;
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use sentinel::RedisSentinel;

/// The controls that every single server offers, over its field `instance`.
macro_rules! controls {
    ($server:ty) => {
        impl $server {
            /// The address the server listens on, also while it is down.
            #[must_use]
            pub fn address(&self) -> std::net::SocketAddr {
                self.address
            }

            /// The folder of the server's files; its log is the file `log` in it.
            #[must_use]
            pub fn folder(&self) -> &std::path::Path {
                self.instance.folder()
            }

            /// The server's process id, or `None` while it is killed.
            #[must_use]
            pub fn pid(&self) -> Option<u32> {
                self.instance.pid()
            }

            /// Ends the server and its children at once with SIGKILL, and returns when they are gone.
            ///
            /// Its files stay. Killing a killed server does nothing.
            pub fn kill(&self) {
                self.instance.kill();
            }

            /// Stops the server with SIGSTOP: its connections stay open and nothing answers.
            pub fn pause(&self) {
                self.instance.pause();
            }

            /// Lets a paused server continue.
            pub fn resume(&self) {
                self.instance.resume();
            }

            /// Kills the server if it runs and starts it again on the same port and files.
            ///
            /// # Errors
            ///
            /// [`Error::NotReady`](crate::Error::NotReady) when it does not come back,
            /// [`Error::System`](crate::Error::System) when no process can be made.
            pub fn restart(&self) -> Result<(), crate::Error> {
                self.instance.restart()
            }
        }
    };
}
use controls;

/// What a server of databases offers that runs no differently on the other engine.
macro_rules! databases {
    ($server:ident, $maintenance:literal) => {
        impl $server {
            /// The server of this test process, started on first use.
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($server), "::start`].")]
            pub fn shared() -> Result<&'static Self, crate::Error> {
                static SHARED: crate::server::shared::Shared<$server> =
                    crate::server::shared::Shared::new();
                SHARED.start_once(Self::start)
            }

            #[doc = concat!("As [`", stringify!($server), "::start`], waiting for the disk at each commit as in production.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($server), "::start`].")]
            pub fn start_durable() -> Result<Self, crate::Error> {
                Self::launch(crate::server::template::Storage::Disk, &[])
            }

            /// Creates an empty database, in 10 to 90 ms that it blocks for.
            ///
            /// # Errors
            ///
            /// [`Error::ProgramMissing`](crate::Error::ProgramMissing) without the server's own client,
            /// [`Error::ProgramFailed`](crate::Error::ProgramFailed) while the server is down.
            pub fn database(&self) -> Result<crate::Database, crate::Error> {
                let number = self.databases.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let name = format!("test{number}");
                self.execute(&format!("CREATE DATABASE {name}"))?;
                Ok(self.named(name))
            }

            #[doc = concat!("The URL of the database `", $maintenance, "`, over TCP. It is there from the start and all tests share it.")]
            #[must_use]
            pub fn url(&self) -> String {
                self.named($maintenance.to_owned()).url()
            }
        }
    };
}
use databases;
