//! What a figure was measured on.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::fmt;
use std::fs;
use std::process::Command;

/// The processor, its cores, the compiler, the commit and the day, in words.
#[derive(Debug)]
pub(super) struct Machine(String);

impl Machine {
    /// This one, now.
    pub(super) fn here() -> Result<Self> {
        let cores = std::thread::available_parallelism()?;
        let compiler = answer("rustc", &["--version"])?;
        let commit = answer("git", &["log", "-1", "--format=%h of %cs"])?;
        Ok(Self(format!(
            "{}, {cores} cores, {compiler}, commit {commit}",
            processor()
        )))
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "));
    name.map_or_else(
        || format!("a processor of {}", std::env::consts::ARCH),
        |(_, name)| name.trim().to_owned(),
    )
}

fn answer(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace::root())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(output.status.success(), "{program} does not answer");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
