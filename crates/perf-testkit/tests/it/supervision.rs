//! However a test ends, its servers end with it.

use crate::support::{children, eventually, is_alive, shared_memory, shared_memory_exists};
use perf_testkit::{MariaDbServer, PostgresServer, RedisServer};
use std::env;
use std::io::{BufRead, BufReader};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

const VICTIM: &str = "PERF_TESTKIT_VICTIM";

#[test]
fn a_panic_ends_the_server_and_removes_its_folder() {
    let mut left = None;
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        let server = PostgresServer::start().unwrap();
        let pid = server.pid().unwrap();
        let memory = shared_memory(server.folder()).unwrap();
        assert!(shared_memory_exists(&memory));
        left = Some((pid, children(pid), memory, server.folder().to_owned()));
        panic!("the test fails here");
    }));
    assert!(panicked.is_err());
    let (pid, children, memory, folder) = left.unwrap();
    assert!(!children.is_empty());
    assert!(!is_alive(pid) && !children.into_iter().any(is_alive));
    assert!(!shared_memory_exists(&memory));
    assert!(!folder.exists());
}

/// The test runs itself as the process to kill: under [`VICTIM`] it starts one server of each kind, one
/// of them paused, tells what there is, and waits for its end.
#[test]
fn sigkill_of_the_test_process_leaves_no_server_behind() {
    if env::var_os(VICTIM).is_some() {
        return be_the_victim();
    }
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "supervision::sigkill_of_the_test_process_leaves_no_server_behind",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let lines = output.lines().map(Result::unwrap);
    let told: Vec<String> = lines
        .filter_map(|line| line.split_once("server ").map(|(_, told)| told.to_owned()))
        .take(4)
        .collect();
    let servers: Vec<(u32, PathBuf)> = told.iter().map(|line| parse(line)).collect();
    let processes: Vec<u32> = servers
        .iter()
        .flat_map(|(pid, _)| children(*pid).into_iter().chain([*pid]))
        .collect();
    let memories: Vec<String> = servers
        .iter()
        .filter_map(|(_, folder)| shared_memory(folder))
        .collect();
    assert_eq!(memories.len(), 2);
    assert!(processes.len() > 8, "Postgres has processes of its own");
    assert!(processes.iter().copied().all(is_alive));
    assert!(servers.iter().all(|(_, folder)| folder.exists()));

    victim.kill().unwrap();
    victim.wait().unwrap();

    assert!(eventually(|| !processes.iter().copied().any(is_alive)));
    assert!(eventually(|| !servers
        .iter()
        .any(|(_, folder)| folder.exists())));
    let left = |memory: &String| shared_memory_exists(memory);
    assert!(!memories.iter().any(left), "removed before the folder is");
}

fn be_the_victim() {
    let redis = RedisServer::shared().unwrap();
    tell(redis.pid(), redis.folder());
    let mariadb = MariaDbServer::shared().unwrap();
    tell(mariadb.pid(), mariadb.folder());
    // From a thread that ends before the process does.
    let postgres = thread::spawn(|| PostgresServer::shared().unwrap());
    let postgres = postgres.join().unwrap();
    tell(postgres.pid(), postgres.folder());
    let paused = PostgresServer::start().unwrap();
    paused.pause();
    tell(paused.pid(), paused.folder());
    loop {
        thread::park();
    }
}

fn tell(pid: Option<u32>, folder: &Path) {
    println!("server {} {}", pid.unwrap(), folder.display());
}

fn parse(line: &str) -> (u32, PathBuf) {
    let (pid, folder) = line.split_once(' ').unwrap();
    (pid.parse().unwrap(), PathBuf::from(folder))
}
