//! Who may depend on whom.

use super::Finding;
use crate::workspace::{Metadata, Package, Resolve};
use std::collections::{BTreeMap, BTreeSet};

const CORE: &str = "perf-core";
const MACROS: &str = "perf-macros";
const TESTKIT: &str = "perf-testkit";
const UMBRELLA: &str = "perfkit";
/// The parts, which know nothing of each other.
const PARTS: [&str; 6] = [
    "perf-breaker",
    "perf-bulk",
    "perf-cache",
    "perf-paginate",
    "perf-pool",
    "perf-profile",
];
/// Except these, who from whom, behind a feature.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("perf-cache", "perf-breaker"),
    ("perf-paginate", "perf-cache"),
];
/// Databases, and engines that store for us.
const DRIVERS: [&str; 7] = [
    "libsqlite3-sys",
    "moka",
    "quick_cache",
    "redis",
    "sea-query",
    "sqlx",
    "sqlx-core",
];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        if package.name == CORE {
            findings.extend(core(package, metadata));
        }
        if PARTS.contains(&package.name.as_str()) || [CORE, MACROS].contains(&package.name.as_str())
        {
            findings.extend(library(package));
        }
    }
    findings
}

/// The direct dependencies of a crate that users depend on.
fn library(package: &Package) -> Vec<Finding> {
    let mut findings = Vec::new();
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.is_normal())
    {
        let name = dependency.name.as_str();
        let is_exception = EXCEPTIONS.contains(&(package.name.as_str(), name));
        let message = match name {
            TESTKIT => "serves tests: make it a dev-dependency",
            UMBRELLA => "stands above all crates",
            MACROS if !dependency.optional => "belongs behind a feature",
            _ if !PARTS.contains(&name) => continue,
            _ if !is_exception => "is a sibling: cooperate through a trait or a closure",
            _ if !dependency.optional => "belongs behind a feature",
            _ => continue,
        };
        findings.push(finding(&package.name, name, message));
    }
    findings
}

/// Everything below the core, however deep.
fn core(package: &Package, metadata: &Metadata) -> Vec<Finding> {
    let Some(resolve) = &metadata.resolve else {
        return Vec::new();
    };
    let reached = reachable(&package.id, resolve);
    let below = metadata
        .packages
        .iter()
        .filter(|other| reached.contains(other.id.as_str()));
    let is_wrong = |name: &str| name.starts_with("perf") || DRIVERS.contains(&name);
    below
        .filter(|other| other.id != package.id && is_wrong(&other.name))
        .map(|other| finding(CORE, &other.name, "must stay out of the core"))
        .collect()
}

/// The ids below a package over normal dependencies, itself included.
fn reachable<'a>(from: &'a str, resolve: &'a Resolve) -> BTreeSet<&'a str> {
    let nodes: BTreeMap<_, _> = resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut reached = BTreeSet::from([from]);
    let mut left = vec![from];
    while let Some(id) = left.pop() {
        let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        for edge in edges.filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none())) {
            if reached.insert(&edge.pkg) {
                left.push(&edge.pkg);
            }
        }
    }
    reached
}

fn finding(package: &str, dependency: &str, message: &str) -> Finding {
    let manifest = format!("crates/{package}/Cargo.toml");
    Finding::new(manifest, 0, format!("{dependency} {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture;
    use crate::workspace::{Dependency, Edge, EdgeKind, Node};

    fn messages(
        package: &str,
        dependency: &str,
        kind: Option<&str>,
        optional: bool,
    ) -> Vec<String> {
        let mut package = fixture::package(package);
        package.dependencies.push(Dependency {
            name: dependency.into(),
            kind: kind.map(str::to_owned),
            optional,
        });
        let metadata = Metadata {
            packages: vec![package],
            resolve: None,
        };
        check(&metadata)
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn parts_do_not_know_each_other() {
        let sibling = "perf-pool is a sibling: cooperate through a trait or a closure";
        assert_eq!(messages("perf-bulk", "perf-pool", None, true), [sibling]);
        assert!(messages("perf-bulk", "perf-pool", Some("dev"), false).is_empty());
        assert!(messages("perfkit", "perf-pool", None, true).is_empty());
    }

    #[test]
    fn the_exceptions_and_the_macros_are_optional() {
        for (package, dependency) in EXCEPTIONS.into_iter().chain([("perf-bulk", MACROS)]) {
            assert!(messages(package, dependency, None, true).is_empty());
            let expected = format!("{dependency} belongs behind a feature");
            assert_eq!(messages(package, dependency, None, false), [expected]);
        }
        assert_eq!(messages("perf-breaker", "perf-cache", None, true).len(), 1);
    }

    #[test]
    fn nothing_depends_on_the_test_kit_or_the_umbrella() {
        assert_eq!(messages("perf-core", "perf-testkit", None, false).len(), 1);
        assert!(messages("perf-core", "perf-testkit", Some("dev"), false).is_empty());
        assert_eq!(messages("perf-macros", "perfkit", None, true).len(), 1);
    }

    /// A chain of packages, each depending on the next by a dependency of this kind.
    fn chain(names: &[&str], kind: Option<&str>) -> Metadata {
        let node = |pair: &[&str]| Node {
            id: pair[0].into(),
            deps: vec![Edge {
                pkg: pair[1].into(),
                dep_kinds: vec![EdgeKind {
                    kind: kind.map(str::to_owned),
                }],
            }],
        };
        let packages = names.iter().copied().map(fixture::package).collect();
        Metadata {
            packages,
            resolve: Some(Resolve {
                nodes: names.windows(2).map(node).collect(),
            }),
        }
    }

    #[test]
    fn a_driver_below_the_core_is_found_at_any_depth() {
        let expected = "crates/perf-core/Cargo.toml: redis must stay out of the core";
        let findings = check(&chain(&["perf-core", "helper", "redis"], None));
        assert_eq!(
            findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expected]
        );
        assert_eq!(
            check(&chain(&["perf-core", "helper", "redis"], Some("dev"))),
            []
        );
        assert_eq!(check(&chain(&["perf-core", "perf-pool"], None)).len(), 1);
    }
}
