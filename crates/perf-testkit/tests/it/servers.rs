//! What a server does for a test: databases and prefixes of its own, and being killed, paused and restarted.

use crate::support::{children, eventually, is_alive, mariadb, psql, redis, state};
use perf_testkit::{Error, MariaDbServer, PostgresServer, RedisCluster, RedisServer};
use std::ptr;

#[test]
fn redis_keeps_its_port_and_its_file_over_a_kill() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]).unwrap();
    assert_eq!(redis(server.address(), "SET a 1").unwrap(), "+OK");

    server.kill();
    assert_eq!(server.pid(), None);
    assert_eq!(redis(server.address(), "PING"), None);

    let address = server.address();
    server.restart().unwrap();
    assert_eq!(server.address(), address);
    assert_eq!(redis(address, "STRLEN a").unwrap(), ":1");
}

#[test]
fn redis_forgets_everything_over_a_kill_unless_told_otherwise() {
    let server = RedisServer::start().unwrap();
    assert_eq!(redis(server.address(), "SET a 1").unwrap(), "+OK");
    server.restart().unwrap();
    assert_eq!(redis(server.address(), "STRLEN a").unwrap(), ":0");
}

#[test]
fn redis_stands_still_while_paused() {
    let server = RedisServer::start().unwrap();
    let pid = server.pid().unwrap();
    server.pause();
    assert!(eventually(|| state(pid) == Some('T')));
    server.resume();
    assert_eq!(redis(server.address(), "PING").unwrap(), "+PONG");
}

#[test]
fn a_refused_argument_is_reported_in_the_servers_own_words() {
    let error = RedisServer::start_with(&["--no-such-thing", "1"]).unwrap_err();
    assert!(
        matches!(&error, Error::NotReady { log, .. } if log.contains("no-such-thing")),
        "{error}"
    );
    let error = PostgresServer::start_with(&["no_such_thing=1"]).unwrap_err();
    assert!(error.to_string().contains("no_such_thing"), "{error}");
    let error = MariaDbServer::start_with(&["--no-such-thing"]).unwrap_err();
    assert!(error.to_string().contains("no-such-thing"), "{error}");
}

#[test]
fn shared_servers_are_started_once() {
    let servers = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| RedisServer::shared().unwrap()))
            .collect();
        starts
            .into_iter()
            .map(|start| start.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(servers.iter().all(|&server| ptr::eq(server, servers[0])));
    assert_ne!(servers[0].key_prefix(), servers[0].key_prefix());
}

#[test]
fn every_node_of_the_cluster_knows_all_slots() {
    let cluster = RedisCluster::start().unwrap();
    // The key's slot is 0, so the first node has it and the others point there.
    let first = cluster.nodes()[0].address();
    let moved = format!("-MOVED 0 {first}");
    let answers: Vec<_> = cluster
        .nodes()
        .iter()
        .map(|node| redis(node.address(), "SET {06S} 1").unwrap())
        .collect();
    assert_eq!(answers, ["+OK", &moved, &moved]);

    cluster.nodes()[0].restart().unwrap();
    let serves = || redis(first, "SET {06S} 1").as_deref() == Some("+OK");
    assert!(
        eventually(serves),
        "a restarted node finds its cluster again"
    );
}

#[test]
fn postgres_gives_each_test_an_empty_database_on_both_transports() {
    let server = PostgresServer::shared().unwrap();
    let (one, other) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one.name(), other.name());
    assert_eq!(psql(&one.url(), "CREATE TABLE t (a int)").unwrap(), "");
    assert_eq!(
        psql(&one.url_unix(), "SELECT count(*) FROM t").unwrap(),
        "0"
    );
    assert_eq!(psql(&other.url(), "SELECT count(*) FROM t"), None);
}

#[test]
fn postgres_keeps_acknowledged_commits_over_a_kill() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().unwrap();
    let insert = "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 1000)";
    psql(&database.url(), insert).unwrap();
    let family = family(server.pid().unwrap());
    assert!(family.len() > 3, "the server has processes of its own");

    server.kill();
    assert!(!family.iter().any(|&pid| is_alive(pid)));
    server.restart().unwrap();
    assert_eq!(
        psql(&database.url(), "SELECT count(*) FROM t").unwrap(),
        "1000"
    );
}

#[test]
fn postgres_stands_still_with_all_its_processes_while_paused() {
    let server = PostgresServer::start().unwrap();
    let family = family(server.pid().unwrap());
    server.pause();
    assert!(eventually(|| family
        .iter()
        .all(|&pid| state(pid) == Some('T'))));
    server.resume();
    assert_eq!(psql(&server.url(), "SELECT 1").unwrap(), "1");
    server.pause();
    server.kill();
    assert!(!family.iter().any(|&pid| is_alive(pid)));
}

#[test]
fn postgres_refuses_a_wrong_password_where_one_is_wanted() {
    let server = PostgresServer::shared().unwrap();
    let port = server.address().port();
    let url = |password: &str| format!("postgres://guarded:{password}@127.0.0.1:{port}/postgres");
    assert_eq!(psql(&url("secret"), "SELECT 1").unwrap(), "1");
    assert_eq!(psql(&url("wrong"), "SELECT 1"), None);
}

#[test]
fn durability_is_what_the_start_asked_for() {
    let fsync = |server: &PostgresServer| psql(&server.url(), "SHOW fsync").unwrap();
    assert_eq!(fsync(&PostgresServer::start().unwrap()), "off");
    let durable = PostgresServer::start_durable().unwrap();
    assert_eq!(fsync(&durable), "on");
    assert!(
        durable.folder().starts_with(std::env::temp_dir()),
        "not in memory"
    );
    let flush = |server: &MariaDbServer| {
        mariadb(&server.url(), "SELECT @@innodb_flush_log_at_trx_commit").unwrap()
    };
    assert_eq!(flush(&MariaDbServer::start().unwrap()), "2");
    assert_eq!(flush(&MariaDbServer::start_durable().unwrap()), "1");
}

#[test]
fn mariadb_gives_each_test_an_empty_database_on_both_transports() {
    let server = MariaDbServer::shared().unwrap();
    let (one, other) = (server.database().unwrap(), server.database().unwrap());
    assert_ne!(one.name(), other.name());
    assert_eq!(mariadb(&one.url(), "CREATE TABLE t (a int)").unwrap(), "");
    assert_eq!(
        mariadb(&one.url_unix(), "SELECT count(*) FROM t").unwrap(),
        "0"
    );
    assert_eq!(mariadb(&other.url(), "SELECT count(*) FROM t"), None);
}

#[test]
fn mariadb_keeps_acknowledged_commits_over_a_kill() {
    let server = MariaDbServer::start().unwrap();
    let database = server.database().unwrap();
    let insert = "CREATE TABLE t (a int) SELECT seq AS a FROM seq_1_to_1000";
    mariadb(&database.url(), insert).unwrap();
    server.kill();
    server.restart().unwrap();
    assert_eq!(
        mariadb(&database.url(), "SELECT count(*) FROM t").unwrap(),
        "1000"
    );
}

#[test]
fn mariadb_keeps_its_temporary_files_from_other_servers() {
    let server = MariaDbServer::shared().unwrap();
    assert_eq!(
        mariadb(&server.url(), "SELECT @@tmpdir").unwrap(),
        server.folder().display().to_string()
    );
}

#[test]
fn mariadb_loads_a_file_of_the_client() {
    let server = MariaDbServer::shared().unwrap();
    let database = server.database().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "1\n2\n3\n").unwrap();
    let path = file.path().display();
    let load = format!("CREATE TABLE t (a int); LOAD DATA LOCAL INFILE '{path}' INTO TABLE t");
    mariadb(&database.url(), &load).unwrap();
    assert_eq!(
        mariadb(&database.url(), "SELECT sum(a) FROM t").unwrap(),
        "6"
    );
}

fn family(pid: u32) -> Vec<u32> {
    let mut family = children(pid);
    family.push(pid);
    family
}
