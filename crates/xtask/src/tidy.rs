//! The rules that clippy cannot see.
//!
//! Each rule is a function from files, or from what cargo knows, to findings, in a module of its own with
//! a test that shows it fail. To find everything at once, all rules run before the task ends.

mod book;
mod crates;
mod dependencies;
mod files;
mod gates;
mod length;
mod links;
mod size;
mod versions;
mod words;

use crate::run;
use crate::workspace;
use anyhow::{Result, bail};
use std::fmt;
use std::path::{Path, PathBuf};

/// A place that breaks a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Finding {
    /// Seen from the repository's root.
    path: PathBuf,
    /// From 1; 0 means the file as a whole.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: impl AsRef<Path>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.as_ref().to_path_buf(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.message),
        }
    }
}

/// Applies every rule to the whole repository.
pub(crate) fn run() -> Result<()> {
    run::announce("tidy", "the rules of crates/xtask/src/tidy/");
    let findings = findings(&workspace::root())?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!(
            "tidy found {} places; to repeat it:\n    cargo xtask tidy",
            findings.len()
        );
    }
    Ok(())
}

fn findings(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = size::check(root)?;
    let members = workspace::members()?;
    let files = files::read(root)?;
    for file in &files {
        findings.extend(length::check(file));
        findings.extend(words::check(file));
        findings.extend(gates::check(file));
        findings.extend(versions::check(file, &members));
        findings.extend(links::check(file, root));
    }
    findings.extend(book::check(&files));
    findings.extend(crates::check(root, &members));
    findings.extend(dependencies::check(&workspace::graph()?));
    findings.sort();
    Ok(findings)
}
