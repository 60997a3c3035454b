//! `cargo xtask setup`: the programs outside Rust that the tests need.
//!
//! They are installed as packages of the system, but none is left running: the tests start their own
//! servers on free ports, and a service on the default port would only be in somebody's way. So while
//! the packages install, a policy forbids them to start services and to create a database cluster.

use crate::run;
use crate::workspace;
use anyhow::{Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that the tests start or the build runs, or a library that a server loads, and the Debian
/// package it comes in.
#[derive(Debug)]
struct Program {
    name: &'static str,
    package: &'static str,
}

const PROGRAMS: &[Program] = &[
    // libFuzzer is C++.
    Program {
        name: "c++",
        package: "g++",
    },
    Program {
        name: "redis-server",
        package: "redis-server",
    },
    Program {
        name: "postgres",
        package: "postgresql",
    },
    Program {
        name: "mariadbd",
        package: "mariadb-server-core",
    },
    Program {
        name: "hypopg.so",
        package: "postgresql-15-hypopg",
    },
    Program {
        name: "wrk",
        package: "wrk",
    },
];

const INSTALL: &str = "crates/xtask/src/setup/install.sh";
/// What invoke-rc.d asks before it starts a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// What the Postgres package reads before it creates its first cluster.
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.d";

/// Installs what is missing; does nothing when all is there.
pub(crate) fn run() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        run::announce("setup", "all programs are installed");
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|program| program.name).collect();
    run::announce("setup", &format!("missing: {}", names.join(", ")));
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    let Some(mut shell) = root_shell() else {
        bail!(
            "setup needs root, or Debian's apt-get is not here; install these yourself:\n    \
             sudo apt-get update && sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    };
    shell
        .arg(workspace::root().join(INSTALL))
        .args([POLICY, CLUSTERS])
        .args(&packages);
    run::step("install", &mut shell)?;
    match self::missing().first() {
        Some(program) => bail!(
            "{} is not found, though {} is installed",
            program.name,
            program.package
        ),
        None => Ok(()),
    }
}

fn missing() -> Vec<&'static Program> {
    PROGRAMS
        .iter()
        .filter(|program| find(program.name).is_none())
        .collect()
}

/// Where a program is: on the path, where Debian puts servers, or in a Postgres version's own folders.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .chain(postgres_folders(Path::new("/usr/lib/postgresql")))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

fn postgres_folders(versions: &Path) -> Vec<PathBuf> {
    let Ok(entries) = versions.read_dir() else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|version| ["bin", "lib"].map(|folder| version.path().join(folder)))
        .collect()
}

/// A shell with root's rights, had without a question.
fn root_shell() -> Option<Command> {
    find("apt-get")?;
    if run::answers("sh", &["-c", "test $(id -u) = 0"]) {
        return Some(Command::new("sh"));
    }
    run::answers("sudo", &["-n", "true"]).then(|| {
        let mut command = Command::new("sudo");
        command.args(["-n", "sh"]);
        command
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// An `apt-get` that notes what it was asked and whether services may start, then exits so.
    fn install_with(exit: i32, former_policy: Option<&str>) -> (bool, String, Option<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [policy, clusters, apt, log] =
            ["policy", "clusters", "apt-get", "log"].map(|name| folder.path().join(name));
        if let Some(content) = former_policy {
            fs::write(&policy, content).expect("writable");
        }
        let script = format!(
            "#!/bin/sh\necho \"$@\" >>{log}\n{policy} >>{log} || echo policy $? >>{log}\n\
             cat {clusters}/* >>{log}\nexit {exit}\n",
            log = log.display(),
            policy = policy.display(),
            clusters = clusters.display(),
        );
        fs::write(&apt, script).expect("writable");
        fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).expect("own file");
        let succeeded = Command::new("sh")
            .arg(workspace::root().join(INSTALL))
            .args([&policy, &clusters])
            .arg("redis-server")
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .status()
            .expect("a shell")
            .success();
        assert_eq!(
            clusters.read_dir().expect("created").count(),
            0,
            "the cluster setting is gone"
        );
        let log = fs::read_to_string(log).expect("apt-get ran");
        (succeeded, log, fs::read_to_string(policy).ok())
    }

    #[test]
    fn no_service_starts_and_no_cluster_is_created() {
        let (succeeded, log, policy) = install_with(0, None);
        assert!(succeeded);
        assert_eq!(policy, None);
        assert_eq!(
            log,
            "--quiet --option DPkg::Lock::Timeout=300 update\npolicy 101\n\
             create_main_cluster = false\n\
             --quiet --option DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
             redis-server\npolicy 101\ncreate_main_cluster = false\n"
        );
    }

    #[test]
    fn a_failed_installation_restores_the_policy() {
        let (succeeded, _, policy) = install_with(1, Some("theirs"));
        assert!(!succeeded);
        assert_eq!(policy.as_deref(), Some("theirs"));
    }

    #[test]
    fn each_postgres_version_is_searched() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("15/bin")).expect("writable");
        assert_eq!(
            postgres_folders(folder.path()),
            ["15/bin", "15/lib"].map(|found| folder.path().join(found))
        );
        assert_eq!(
            postgres_folders(&folder.path().join("absent")),
            Vec::<PathBuf>::new()
        );
    }
}
