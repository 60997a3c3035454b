//! `cargo xtask fuzz`: libFuzzer over the decoders and parsers of `fuzz/`.
//!
//! The targets are built by cargo itself with the flags that libFuzzer needs, which spares everyone the
//! installation of another cargo command. They start from `fuzz/seeds/<target>`; what they find on top
//! is kept in `fuzz/target/corpus/<target>` for the next run, and a crash in `fuzz/target/artifacts`.

use crate::run;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::process::Command;

/// Coverage feedback for libFuzzer, and the address sanitizer for the C code that Rust calls.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Zsanitizer=address -Ccodegen-units=1";

/// An input that takes longer than this many seconds is a finding.
const INPUT_SECONDS: u32 = 10;
/// A run that needs more than this many MiB is one too.
const MEMORY_MEBIBYTES: u32 = 2_048;

/// Runs one target, or each, for that many seconds.
pub(crate) fn run(target: Option<&str>, seconds: u32) -> Result<()> {
    ensure!(
        is_available(),
        "fuzzing needs the nightly toolchain: rustup toolchain install nightly"
    );
    let all = targets()?;
    let chosen = match target {
        None => all,
        Some(name) if all.iter().any(|target| target == name) => vec![name.to_owned()],
        Some(name) => bail!(
            "no fuzz target is called {name}; there are {}",
            all.join(", ")
        ),
    };
    let host = workspace::host()?;
    let mut build = workspace::cargo(["+nightly", "build", "--release", "--target", &host]);
    build
        .current_dir(workspace::root().join("fuzz"))
        .env("RUSTFLAGS", FLAGS);
    for target in &chosen {
        build.args(["--bin", target]);
    }
    run::step("build fuzz targets", &mut build)?;
    chosen
        .iter()
        .try_for_each(|target| fuzz(target, &host, seconds))
}

/// Whether the toolchain is here that can instrument code.
pub(crate) fn is_available() -> bool {
    run::answers("cargo", &["+nightly", "--version"])
}

/// The names of all targets, from their files.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn fuzz(target: &str, host: &str, seconds: u32) -> Result<()> {
    let folder = workspace::root().join("fuzz");
    let seeds = format!("seeds/{target}");
    ensure!(
        folder.join(&seeds).is_dir(),
        "fuzz target {target} has no seeds in fuzz/{seeds}"
    );
    let found = format!("target/corpus/{target}");
    fs::create_dir_all(folder.join(&found)).context("cannot create the corpus folder")?;
    fs::create_dir_all(folder.join("target/artifacts")).context("cannot create its folder")?;
    let mut command = Command::new(format!("target/{host}/release/{target}"));
    command.current_dir(&folder).args([&found, &seeds]).args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS}"),
        format!("-rss_limit_mb={MEMORY_MEBIBYTES}"),
        format!("-artifact_prefix=target/artifacts/{target}-"),
    ]);
    let said = run::quiet_step(&format!("fuzz {target}"), &mut command)?;
    for total in said.lines().filter(|line| line.starts_with("Done ")) {
        eprintln!("    {total}, no finding");
    }
    Ok(())
}
