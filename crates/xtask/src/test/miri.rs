//! Undefined behaviour in the modules that may use `unsafe`.

use crate::run;
use crate::workspace;
use anyhow::Result;

/// The crates with such modules, and the filter that picks the tests which exercise them.
const UNSAFE_PARTS: &[(&str, &str)] = &[];

/// Interprets the tests of [`UNSAFE_PARTS`], where Miri is installed.
pub(super) fn run() -> Result<()> {
    if UNSAFE_PARTS.is_empty() {
        run::skip("Miri", "no module needs it");
        return Ok(());
    }
    if !run::answers("cargo", &["+nightly", "miri", "--version"]) {
        run::skip("Miri", "it is not installed in the nightly toolchain");
        return Ok(());
    }
    for (package, filter) in UNSAFE_PARTS {
        let mut command =
            workspace::cargo(["+nightly", "miri", "test", "--lib", "--package", package]);
        command.arg(filter).env("CARGO_TARGET_DIR", "target/miri");
        run::step(&format!("Miri {package}"), &mut command)?;
    }
    Ok(())
}
