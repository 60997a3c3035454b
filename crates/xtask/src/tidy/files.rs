//! The repository's text.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// One text file.
#[derive(Debug)]
pub(super) struct File {
    /// Seen from the repository's root.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl File {
    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    pub(super) fn is_markdown(&self) -> bool {
        self.has_extension("md")
    }

    pub(super) fn has_extension(&self, extension: &str) -> bool {
        self.path.extension().is_some_and(|own| own == extension)
    }

    /// Whether it is part of a library or program, not only of its tests, benchmarks or examples.
    pub(super) fn is_source(&self) -> bool {
        self.is_rust() && self.path.components().any(|part| part.as_os_str() == "src")
    }

    /// Numbered lines from 1, with the inline test modules left out.
    pub(super) fn lines_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut tests = None::<&str>; // the indentation of the module we are in
        let mut previous = "";
        self.text
            .lines()
            .enumerate()
            .filter_map(move |(index, line)| {
                let indentation = &line[..line.len() - line.trim_start().len()];
                let begins = previous.trim() == "#[cfg(test)]" && line.trim_end().ends_with('{');
                previous = line;
                if let Some(own) = tests {
                    if line.trim_end() == format!("{own}}}") {
                        tests = None;
                    }
                    return None;
                }
                if begins {
                    tests = Some(indentation);
                    return None;
                }
                Some((index + 1, line))
            })
    }
}

/// Every file under `root` that is text, except what tools produce.
pub(super) fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in list(root)? {
        // What is not UTF-8 is data.
        if let Ok(text) = fs::read_to_string(root.join(&path)) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

/// Every file under `root`, seen from there, except what tools produce.
pub(super) fn list(root: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = root.join(&folder).read_dir();
        for entry in entries.with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_name() == "target" || entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                paths.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_tests_are_left_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        let file = File::new("src/a.rs", text);
        let lines: Vec<_> = file.lines_without_tests().collect();
        assert_eq!(
            lines,
            [(1, "fn a() {}"), (2, "#[cfg(test)]"), (7, "fn c() {}")]
        );
    }

    #[test]
    fn products_of_tools_are_not_listed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in ["target/a.rs", ".git/b", "src/c.rs", ".ci/run"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(path, "").expect("writable");
        }
        let listed = list(folder.path()).expect("readable");
        assert_eq!(listed, [".ci/run", "src/c.rs"].map(PathBuf::from));
    }
}
