//! What cargo knows of the workspace.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository's root folder.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// A cargo command in the repository's root.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    command
}

/// The part of `cargo metadata` that tasks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Members and, where dependencies were asked for, everything below them.
    pub(crate) packages: Vec<Package>,
    /// Who depends on whom; absent without dependencies.
    pub(crate) resolve: Option<Resolve>,
}

/// One package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    /// Cargo's opaque name of this very version.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    /// An empty list means never.
    pub(crate) publish: Option<Vec<String>>,
    pub(crate) metadata: Option<Own>,
}

/// What a manifest says to this project's tasks, in `[package.metadata]`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Own {
    /// What must be set up before an example runs, by its name.
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, String>,
}

/// One line of a manifest's dependencies.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` means a normal one.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
}

/// A library, example or test of a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
}

/// The resolved graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package in the graph, by id.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Edge>,
}

/// A dependency in the graph.
#[derive(Debug, Deserialize)]
pub(crate) struct Edge {
    /// The package depended on, by id.
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

/// Why an edge is there.
#[derive(Debug, Deserialize)]
pub(crate) struct EdgeKind {
    /// `None` means a normal dependency.
    pub(crate) kind: Option<String>,
}

impl Package {
    /// The package's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// Whether users can depend on it.
    pub(crate) fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }

    /// What must be set up before an example runs.
    pub(crate) fn needs(&self, example: &str) -> Option<&str> {
        let own = self.metadata.as_ref()?;
        own.needs.get(example).map(String::as_str)
    }

    /// The targets of one kind, such as `example`.
    pub(crate) fn targets(&self, kind: &str) -> impl Iterator<Item = &str> {
        let is_of_kind = move |target: &&Target| target.kind.iter().any(|k| k == kind);
        self.targets
            .iter()
            .filter(is_of_kind)
            .map(|target| target.name.as_str())
    }
}

impl Dependency {
    /// Whether it is one for users too, not only for tests or the build.
    pub(crate) const fn is_normal(&self) -> bool {
        self.kind.is_none()
    }
}

/// The members of the workspace.
pub(crate) fn members() -> Result<Vec<Package>> {
    Ok(metadata(&["--no-deps"])?.packages)
}

/// The members and everything below them on this machine, with all features on.
pub(crate) fn graph() -> Result<Metadata> {
    metadata(&["--all-features", "--filter-platform", &host()?])
}

/// The triple of this machine.
pub(crate) fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not tell its host")
}

fn metadata(arguments: &[&str]) -> Result<Metadata> {
    let output = cargo(["metadata", "--format-version=1"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("cannot read the answer of cargo metadata")
}

/// Packages for tests.
#[cfg(test)]
pub(crate) mod fixture {
    use super::{BTreeMap, Package};

    /// A published library at version 0.1.0 without dependencies.
    pub(crate) fn package(name: &str) -> Package {
        Package {
            id: name.into(),
            name: name.into(),
            version: "0.1.0".into(),
            manifest_path: format!("crates/{name}/Cargo.toml").into(),
            features: BTreeMap::new(),
            dependencies: Vec::new(),
            targets: Vec::new(),
            publish: None,
            metadata: None,
        }
    }
}
