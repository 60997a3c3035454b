//! Undefined behaviour in the modules that may use `unsafe`.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// The crates with such modules, and the filters that pick the tests which exercise them.
///
/// What calls a C library, as SQLite's, or an instruction of the processor is beyond Miri.
const UNSAFE_PARTS: &[(&str, &[&str])] = &[(
    "perf-pool",
    &["acquire::", "exchange::", "holder::", "object_pool::"],
)];

/// Not strict about provenance: the locks that the modules take keep pointers in numbers.
const FLAGS: &str = "-Zmiri-permissive-provenance";

/// Interprets the tests of [`UNSAFE_PARTS`], where Miri can be set up.
pub(super) fn run() -> Result<()> {
    // Builds its standard library, once, from sources that are a component of their own.
    if !run::answers("cargo", &["+nightly", "miri", "setup"]) {
        run::skip(
            "Miri",
            "it cannot be set up: rustup component add --toolchain nightly miri rust-src",
        );
        return Ok(());
    }
    for (package, filters) in UNSAFE_PARTS {
        let mut command =
            workspace::cargo(["+nightly", "miri", "test", "--lib", "--package", package]);
        command.arg("--").args(*filters);
        command
            .env("CARGO_TARGET_DIR", "target/miri")
            .env("MIRIFLAGS", FLAGS);
        run::step(&format!("Miri {package}"), &mut command)?;
    }
    Ok(())
}
