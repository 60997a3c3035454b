use super::{RedisServer, process};
use crate::Error;
use std::net::SocketAddr;
use std::time::Duration;

const NAME: &str = "main";
const AGREED_WITHIN: Duration = Duration::from_secs(60);

/// A Redis master, a replica of it, and a sentinel that makes the replica the master when that one dies.
///
/// ```
/// use perf_testkit::RedisSentinel;
///
/// let group = RedisSentinel::start()?;
/// assert_eq!(group.master()?, group.servers()[0].address());
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<RedisServer>,
    sentinel: RedisServer,
}

impl RedisSentinel {
    /// A group of the test's own, which ends with this value. Returns when the replica is in step and the
    /// sentinel knows it.
    ///
    /// # Errors
    ///
    /// As [`RedisServer::start`].
    pub fn start() -> Result<Self, Error> {
        // A master otherwise waits five seconds for further replicas before it serves the first.
        let master = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"])?;
        let (ip, port) = words(master.address());
        let replica = RedisServer::start_with(&["--replicaof", &ip, &port])?;
        let settings = format!(
            "sentinel monitor {NAME} {ip} {port} 1\n\
             sentinel down-after-milliseconds {NAME} 1000\n\
             sentinel failover-timeout {NAME} 4000\n"
        );
        let group = Self {
            sentinel: RedisServer::start_sentinel(&settings)?,
            servers: vec![master, replica],
        };
        if process::wait_until(AGREED_WITHIN, || group.is_ready()) {
            return Ok(group);
        }
        Err(Error::NotReady {
            server: "the group of Redis servers",
            log: group.sentinel.ask(&["INFO", "sentinel"])?,
        })
    }

    /// The first master and its replica. Each can be killed, paused and restarted.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The sentinel's URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.sentinel.url()
    }

    /// The name under which the sentinel knows the master.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        NAME
    }

    /// The master, by the sentinel's word.
    ///
    /// # Errors
    ///
    /// [`Error::System`] and [`Error::Refused`] when the sentinel does not tell.
    pub fn master(&self) -> Result<SocketAddr, Error> {
        let status = self.status()?;
        let address = status
            .split("address=")
            .nth(1)
            .and_then(|rest| rest.split(',').next());
        let address = address.and_then(|address| address.parse().ok());
        address.ok_or_else(|| Error::Refused {
            command: "INFO sentinel".to_owned(),
            answer: status,
        })
    }

    /// Pauses the replica of the first master once it has all that was written there, and cuts its
    /// connection: what is written from now on it never hears, also when it is resumed.
    ///
    /// # Errors
    ///
    /// [`Error::System`] and [`Error::Refused`] when the servers do not tell, [`Error::NotReady`] when the
    /// replica lags for a minute.
    pub fn isolate_replica(&self) -> Result<(), Error> {
        let [master, replica] = &self.servers[..] else {
            return Ok(());
        };
        let written = offset(master, "master_repl_offset:")?;
        let is_in_step =
            || offset(replica, "slave_repl_offset:").is_ok_and(|applied| applied >= written);
        if !process::wait_until(AGREED_WITHIN, is_in_step) {
            return Err(Error::NotReady {
                server: "the replica",
                log: replica.ask(&["INFO", "replication"])?,
            });
        }
        replica.pause();
        // What lies in the connection's buffer would be read after all.
        master.ask(&["CLIENT", "KILL", "TYPE", "replica"])?;
        Ok(())
    }

    fn is_ready(&self) -> bool {
        let is_in_step = || {
            let replication = self.servers[1].ask(&["INFO", "replication"])?;
            let is_known =
                self.status()?.contains("status=ok") && self.status()?.contains("slaves=1");
            Ok::<_, Error>(is_known && replication.contains("master_link_status:up"))
        };
        is_in_step().unwrap_or(false)
    }

    /// What the sentinel says of the master.
    fn status(&self) -> Result<String, Error> {
        let info = self.sentinel.ask(&["INFO", "sentinel"])?;
        let line = info.lines().find(|line| line.starts_with("master0:"));
        Ok(line.unwrap_or_default().trim_end().to_owned())
    }
}

/// How far a server is in what the master has written.
fn offset(server: &RedisServer, field: &str) -> Result<u64, Error> {
    let replication = server.ask(&["INFO", "replication"])?;
    let line = replication
        .lines()
        .find_map(|line| line.strip_prefix(field));
    Ok(line
        .and_then(|number| number.trim_end().parse().ok())
        .unwrap_or_default())
}

fn words(address: SocketAddr) -> (String, String) {
    (address.ip().to_string(), address.port().to_string())
}
