//! The examples stand beside this file; here is how their tests start them.

#[cfg(doctest)]
mod book;

use std::process::Command;

/// The example of this name, as it was built together with the running test.
///
/// # Panics
///
/// Outside of a test or example that cargo has built.
#[must_use]
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().expect("a running program has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("tests lie in target/<profile>/deps");
    Command::new(target.join("examples").join(name))
}

/// What the example of this name prints.
///
/// # Panics
///
/// When it fails; the message is what it complained of.
#[must_use]
pub fn printed_by(name: &str) -> String {
    let output = example(name).output().expect("the example is built");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).expect("an example prints text")
}
