//! No unfinished work and no tests that do not run.

use super::Finding;
use super::files::File;

/// Marks of unfinished work, written so that this file does not contain them.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.path.file_name().is_some_and(|name| name == "mod.rs") {
        findings.push(Finding::new(
            &file.path,
            0,
            "name it after its module, beside the folder",
        ));
    }
    for (index, line) in file.text.lines().enumerate() {
        if let Some(message) = unfinished(file, line).or_else(|| idle(file, line.trim_start())) {
            findings.push(Finding::new(&file.path, index + 1, message));
        }
    }
    findings
}

fn unfinished(file: &File, line: &str) -> Option<&'static str> {
    let is_code = file.is_rust() || file.has_extension("toml") || file.has_extension("sh");
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    (is_code && words.any(|word| MARKS.contains(&word)))
        .then_some("unfinished: do it or leave it out")
}

fn idle(file: &File, line: &str) -> Option<&'static str> {
    if file.is_rust() && line.starts_with("#[ignore") {
        return Some("an ignored test tests nothing");
    }
    let comment = line
        .strip_prefix("//!")
        .or_else(|| line.strip_prefix("///"));
    let docs = if file.is_markdown() {
        Some(line)
    } else {
        comment
    };
    let fence = docs?.trim_start().strip_prefix("```")?;
    let mut words = fence.split(|c: char| c == ',' || c.is_whitespace());
    words
        .any(|word| word == "ignore")
        .then_some("an ignored example is not tested")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &str, text: &str) -> Option<String> {
        check(&File::new(path, text))
            .pop()
            .map(|finding| finding.message)
    }

    #[test]
    fn unfinished_work_is_found_in_code() {
        for mark in MARKS {
            let expected = Some("unfinished: do it or leave it out".to_owned());
            assert_eq!(message("src/a.rs", &format!("// {mark}: later")), expected);
            assert_eq!(message("Cargo.toml", &format!("a = 1 # {mark}")), expected);
            assert_eq!(
                message("docs/STYLE.md", &format!("No {mark} anywhere.")),
                None
            );
            assert_eq!(
                message("src/a.rs", &format!("static {mark}_LIST: u8 = 1;")),
                None
            );
        }
    }

    #[test]
    fn ignored_tests_and_examples_are_found() {
        let test = "    #[ignore = \"slow\"]\n";
        assert_eq!(
            message("tests/a.rs", test).expect("found"),
            "an ignored test tests nothing"
        );
        for text in ["/// ```ignore\n", "//! ```rust,ignore\n"] {
            assert_eq!(
                message("src/a.rs", text).expect("found"),
                "an ignored example is not tested"
            );
        }
        assert!(message("README.md", "```rust, ignore\n").is_some());
        assert_eq!(message("src/a.rs", "/// ```no_run\n/// ignore\n"), None);
    }

    #[test]
    fn modules_are_named_after_their_folder() {
        assert!(message("src/store/mod.rs", "").is_some());
        assert_eq!(message("src/store.rs", ""), None);
    }
}
