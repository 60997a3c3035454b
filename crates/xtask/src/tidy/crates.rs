//! Every crate has a page of its own, and the front page names every crate that users can depend on.

use super::Finding;
use crate::workspace::Package;
use std::fs;
use std::path::Path;

pub(super) fn check(root: &Path, members: &[Package]) -> Vec<Finding> {
    let front = fs::read_to_string(root.join("README.md")).unwrap_or_default();
    let mut findings = Vec::new();
    for member in members {
        let folder = member
            .folder()
            .strip_prefix(root)
            .unwrap_or_else(|_| member.folder());
        if folder.starts_with("crates") && !root.join(folder).join("README.md").is_file() {
            findings.push(Finding::new(folder, 0, "the crate has no README.md"));
        }
        if member.is_published() && !has_row(&front, &member.name) {
            let message = format!("the table of crates has no row for {}", member.name);
            findings.push(Finding::new("README.md", 0, message));
        }
    }
    findings
}

fn has_row(page: &str, name: &str) -> bool {
    let cell = format!("`{name}`");
    page.lines()
        .any(|line| line.starts_with('|') && line.contains(&cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture;

    #[test]
    fn a_crate_without_page_or_row_is_found() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut members = ["perf-a", "perf-b", "perf-c"].map(fixture::package);
        for member in &mut members {
            member.manifest_path = root
                .path()
                .join(format!("crates/{}/Cargo.toml", member.name));
        }
        members[2].publish = Some(Vec::new());
        for name in ["perf-a", "perf-c"] {
            fs::create_dir_all(root.path().join("crates").join(name)).expect("writable");
            fs::write(root.path().join(format!("crates/{name}/README.md")), "").expect("writable");
        }
        fs::write(
            root.path().join("README.md"),
            "| [`perf-a`](x) | y |\n`perf-b`\n",
        )
        .expect("writable");
        assert_eq!(
            check(root.path(), &members),
            [
                Finding::new("crates/perf-b", 0, "the crate has no README.md"),
                Finding::new("README.md", 0, "the table of crates has no row for perf-b"),
            ]
        );
    }
}
