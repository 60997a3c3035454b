//! Features stop at the door: conditions on them stand on modules and imports only.

use super::Finding;
use super::files::File;

/// A condition inside a function, written so that this file does not contain it.
const INLINE: &str = concat!("cfg", "!(");

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_source() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut lines = file.lines_without_tests().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if is_comment(line) {
            continue;
        }
        if line.contains(INLINE) && line.contains("feature") {
            findings.push(Finding::new(
                &file.path,
                number,
                "a feature must not change behaviour",
            ));
        }
        if !line.starts_with("#[cfg(") {
            continue;
        }
        let mut condition = line.to_owned();
        while !condition.ends_with(']') {
            let Some((_, more)) = lines.next() else { break };
            condition.push_str(more.trim());
        }
        while lines.next_if(|(_, next)| !is_item(next.trim())).is_some() {}
        let item = lines.peek().map_or("", |(_, line)| line.trim());
        if condition.contains("feature") && !is_door(item) {
            let message = format!("a feature gates `{item}`; gate a module or an import");
            findings.push(Finding::new(&file.path, number, message));
        }
    }
    findings
}

fn is_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with("//")
}

/// Whether an attribute's subject begins here.
fn is_item(line: &str) -> bool {
    !is_comment(line) && !line.starts_with("#[")
}

fn is_door(item: &str) -> bool {
    let bare = match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or("", |(_, rest)| rest),
        Some(rest) => rest,
        None => item,
    };
    ["mod ", "use ", "extern crate "]
        .iter()
        .any(|word| bare.trim_start().starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(&File::new("crates/a/src/lib.rs", text))
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn modules_and_imports_may_be_gated() {
        let text = "#[cfg(feature = \"redis\")]\nmod redis;\n\
                    #[cfg(feature = \"redis\")]\n#[doc(inline)]\n/// Docs.\npub use redis::Store;\n\
                    #[cfg(any(\n    feature = \"mysql\",\n    feature = \"sqlite\",\n))]\n\
                    pub(crate) mod sql {}\n";
        assert!(lines(text).is_empty());
    }

    #[test]
    fn anything_else_may_not() {
        let text = "enum Error {\n    /// Docs.\n    #[cfg(feature = \"redis\")]\n    Redis,\n}\n\
                    #[cfg(all(\n    feature = \"mysql\",\n))]\n#[inline]\nfn f() {}\n";
        assert_eq!(lines(text), [3, 6]);
        assert_eq!(
            lines("fn f() -> bool {\n    cfg!(feature = \"redis\")\n}\n"),
            [2]
        );
    }

    #[test]
    fn other_conditions_and_tests_are_free() {
        assert!(
            lines("#[cfg(loom)]\nfn f() {}\n// #[cfg(feature = \"a\")]\nfn g() {}\n").is_empty()
        );
        let test = File::new(
            "crates/a/tests/it/main.rs",
            "#[cfg(feature = \"a\")]\nfn f() {}\n",
        );
        assert_eq!(check(&test), []);
    }
}
