//! Each feature of each crate alone.
//!
//! With all features on at once, code that one feature needs and another one brings compiles; so does
//! code that nothing uses once a feature is off. Clippy reports both, and shares the dependencies it
//! has checked with every other step. The umbrella's features join crates, so each pair of those that bring
//! a crate or code of its own is checked too.

use crate::run;
use crate::workspace::{self, Package};
use anyhow::Result;
use std::process::Command;

/// The crate whose features meet.
const UMBRELLA: &str = "perfkit";

/// Checks every crate that has features without any, then with each one alone; the umbrella with two as well.
pub(crate) fn run() -> Result<()> {
    let members = workspace::members()?;
    let optional = |member: &&Package| member.is_published() && !member.features.is_empty();
    for package in members.iter().filter(optional) {
        for feature in alone(package) {
            let name = format!("{} with {}", package.name, feature.unwrap_or("no feature"));
            run::quiet_step(&name, &mut clippy(&package.name, feature))?;
        }
    }
    for package in members.iter().filter(|member| member.name == UMBRELLA) {
        for pair in pairs(package) {
            let name = format!("{} with {pair}", package.name);
            run::quiet_step(&name, &mut check(&package.name, &pair))?;
        }
    }
    Ok(())
}

/// Each two of the features that bring a dependency, as cargo reads them.
fn pairs(package: &Package) -> Vec<String> {
    let brings = |parts: &Vec<String>| parts.iter().any(|part| part.starts_with("dep:"));
    let features = package.features.iter().filter(|(_, parts)| brings(parts));
    let names: Vec<_> = features.map(|(name, _)| name).collect();
    let others = |place: usize| names[place + 1..].iter();
    let pair = |(place, name)| others(place).map(move |other| format!("{name},{other}"));
    names.iter().enumerate().flat_map(pair).collect()
}

fn check(package: &str, features: &str) -> Command {
    let arguments = [
        "check",
        "--package",
        package,
        "--lib",
        "--no-default-features",
    ];
    let mut command = workspace::cargo(arguments);
    command.args(["--features", features]);
    command
}

/// No feature, then each that is not merely a set of others which all crates have on together.
fn alone(package: &Package) -> Vec<Option<&str>> {
    let names = package.features.keys().map(String::as_str);
    let single = names.filter(|name| !["default", "full"].contains(name));
    std::iter::once(None).chain(single.map(Some)).collect()
}

fn clippy(package: &str, feature: Option<&str>) -> Command {
    let mut command = workspace::cargo(["clippy", "--package", package, "--lib"]);
    command.arg("--no-default-features");
    if let Some(feature) = feature {
        command.args(["--features", feature]);
    }
    command.args(["--", "-D", "warnings"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture;

    #[test]
    fn sets_of_features_are_left_to_the_other_steps() {
        let mut package = fixture::package("perf-x");
        for feature in ["default", "full", "redis", "sqlite"] {
            package.features.insert(feature.into(), Vec::new());
        }
        assert_eq!(alone(&package), [None, Some("redis"), Some("sqlite")]);
    }

    #[test]
    fn each_two_features_that_bring_something_are_a_pair() {
        let mut package = fixture::package("perf-x");
        for (feature, part) in [
            ("a", "dep:x"),
            ("b", "dep:y"),
            ("c", "dep:z"),
            ("only", "a/b"),
        ] {
            package.features.insert(feature.into(), vec![part.into()]);
        }
        assert_eq!(pairs(&package), ["a,b", "a,c", "b,c"]);
    }

    #[test]
    fn a_feature_is_checked_without_the_default_ones() {
        assert_eq!(
            run::command_line(&clippy("perf-x", Some("redis"))),
            "cargo clippy --package perf-x --lib --no-default-features --features redis -- -D warnings"
        );
    }
}
