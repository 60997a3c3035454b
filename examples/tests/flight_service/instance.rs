//! Processes of the service.

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use perfkit_examples::example;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use tempfile::TempDir;

/// How many flights the tests' data set has.
pub(crate) const FLIGHTS: usize = 2_000;

/// A running instance, which is killed with this value.
pub(crate) struct Instance {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Instance {
    /// Starts one on a free port.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    /// Starts one, and returns when it listens.
    pub(crate) fn start_at(address: &str, arguments: &[&str]) -> Self {
        let mut process = example("flight_service")
            .args(["--listen", address])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("it did not start: {line:?}"));
        Self {
            address: address.parse().unwrap(),
            process,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        tokio::task::spawn_blocking(move || self.process.wait().unwrap())
            .await
            .unwrap()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// The data set with the first flights only, so that it is quickly written.
pub(crate) fn data() -> TempDir {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nycflights13");
    let folder = tempfile::tempdir().unwrap();
    for file in ["planes.csv.gz", "airlines.csv", "airports.csv.gz"] {
        fs::copy(whole.join(file), folder.path().join(file)).unwrap();
    }
    let flights = "flights-2013-01.csv.gz";
    let lines = BufReader::new(GzDecoder::new(File::open(whole.join(flights)).unwrap())).lines();
    let few = File::create(folder.path().join(flights)).unwrap();
    let mut few = GzEncoder::new(few, Compression::fast());
    for line in lines.take(FLIGHTS + 1) {
        writeln!(few, "{}", line.unwrap()).unwrap();
    }
    few.finish().unwrap();
    folder
}
