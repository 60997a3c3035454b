//! The versions that documentation tells people to depend on are the true ones.

use super::Finding;
use super::files::File;
use crate::workspace::Package;

pub(super) fn check(file: &File, members: &[Package]) -> Vec<Finding> {
    if !file.is_markdown() && !file.is_rust() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let Some(text) = documentation(file, line) else {
            continue;
        };
        for member in members {
            if let Some(version) = required(text, &member.name)
                && !is_true(version, &member.version)
            {
                let message = format!("{} is at {}, not {version}", member.name, member.version);
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
    findings
}

/// The line as readers see it, where it is documentation.
fn documentation<'a>(file: &File, line: &'a str) -> Option<&'a str> {
    let line = line.trim();
    if file.is_markdown() {
        return Some(line);
    }
    line.strip_prefix("//!")
        .or_else(|| line.strip_prefix("///"))
        .map(str::trim)
}

/// The version in a manifest's line `name = "version"` or `name = { version = "version" }`.
fn required<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line
        .strip_prefix(name)?
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let quoted = match value.split_once("version") {
        Some((_, rest)) => rest.trim_start().strip_prefix('=')?.trim_start(),
        None => value,
    };
    quoted.strip_prefix('"')?.split('"').next()
}

/// Whether the requirement names the version, or its leading parts.
fn is_true(required: &str, version: &str) -> bool {
    version
        .strip_prefix(required)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture;

    fn found(path: &str, text: &str) -> Vec<String> {
        let members = [fixture::package("perf-cache"), fixture::package("perfkit")]; // at 0.1.0
        let findings = check(&File::new(path, text), &members);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn an_old_version_is_found() {
        let message = ["perf-cache is at 0.1.0, not 0.2"];
        assert_eq!(found("README.md", "perf-cache = \"0.2\"\n"), message);
        let table = "//! perf-cache = { version = \"0.2\", features = [\"redis\"] }\n";
        assert_eq!(found("src/lib.rs", table), message);
        assert_eq!(
            found("README.md", "perfkit = \"0.10\""),
            ["perfkit is at 0.1.0, not 0.10"]
        );
    }

    #[test]
    fn a_true_version_is_fine() {
        let text = "perf-cache = \"0.1\"\nperfkit = { version = \"0.1.0\" }\nserde = \"1\"\n";
        assert_eq!(found("docs/guide/cache.md", text), Vec::<String>::new());
    }
}
