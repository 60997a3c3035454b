//! Servers as processes of their own, and load for them.

use perfkit::profile::{HttpTarget, LoadReport, LoadTest};
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Has the flight service make each answer anew.
pub(crate) const FRESH: [&str; 2] = ["--set", "cache.enabled=false"];

/// The flight service, among the servers that this program can be.
pub(crate) const FLIGHTS: &str = "flights";

const SERVER: &str = "PERFKIT_BENCH_SERVER";
const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/data/nycflights13"
);

/// Which server this process is to be, if any.
pub(crate) fn asked_for() -> Option<String> {
    env::var(SERVER).ok()
}

/// A running server, which ends with this value.
pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// A router with one route, behind these [layers](crate::layers).
    pub(crate) fn trivial(layers: &str) -> Self {
        Self::start(layers, &[])
    }

    /// The flight service with everything on, whose limits nobody meets.
    pub(crate) fn flights(arguments: &[&str]) -> Self {
        let always = [
            "--listen",
            "127.0.0.1:0",
            "--data",
            DATA,
            "--rate-limit",
            "1000000/second",
        ];
        Self::start(FLIGHTS, &[&always, arguments].concat())
    }

    fn start(which: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env::current_exe().expect("this program"));
        command
            .env(SERVER, which)
            .args(arguments)
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("it can be started");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        output.read_line(&mut line).expect("a line");
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect("it listens");
        Self {
            url: url.to_owned(),
            process,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The answer to one request, as JSON.
    pub(crate) fn json(&self, path: &str) -> serde_json::Value {
        let address = self.url.strip_prefix("http://").expect("http");
        let mut stream = TcpStream::connect(address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }

    /// Users who each wait for an answer before they ask again, and are all answered well.
    pub(crate) fn load(&self, path: &str, users: usize, length: Duration) -> LoadReport {
        let target = HttpTarget::get(self.url(path).parse().expect("a URL")).expect("http");
        let users = NonZeroUsize::new(users).expect("some users");
        let test = LoadTest::closed(users, length)
            .expect("some time")
            .warm_up(length / 4);
        let report = Runtime::new()
            .expect("a runtime")
            .block_on(test.run(target));
        let report = report.expect("the server listens");
        assert_eq!(report.failed(), 0, "{report}");
        report
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// How many rounds of how long each alternative gets, in turns.
pub(crate) fn rounds() -> (usize, Duration) {
    if harness::is_quick() {
        (3, Duration::from_millis(600))
    } else {
        (9, Duration::from_secs(2))
    }
}

/// Records two alternatives, measured in turns: requests a second under `id`, and under that of `workload_p99` what one
/// in a hundred requests takes at least.
pub(crate) fn record(id: &str, rounds: &[(LoadReport, LoadReport)]) {
    let of = |figure: fn(&LoadReport) -> f64| {
        let pairs = rounds
            .iter()
            .map(|(ours, peer)| (figure(ours), figure(peer)));
        median(pairs.collect())
    };
    let (ours, peer) = of(LoadReport::throughput);
    harness::record_rate(id, ours, peer, "requests/s");
    let (ours, peer) = of(|report| report.service.summary().p99.as_secs_f64() * 1e3);
    harness::record(&p99(id), ours, peer, "ms");
}

/// The id of the slowest hundredth beside the id of a rate.
pub(crate) fn p99(id: &str) -> String {
    let mut parts: Vec<_> = id.split('/').map(str::to_owned).collect();
    parts[1] += "_p99";
    parts.join("/")
}

/// The pair of figures whose ratio is the median.
pub(crate) fn median(mut pairs: Vec<(f64, f64)>) -> (f64, f64) {
    pairs.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    pairs[pairs.len() / 2]
}
