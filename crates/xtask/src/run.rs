//! Running programs in sight.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

/// Runs one step of a task, its output shown as it comes.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    // What a task prints on stdout is its result; what its programs print is progress.
    timed(name, command.stdout(std::io::stderr()), Command::status)
}

/// As [`step`], its output shown only where it fails and else returned: for programs that say a lot of
/// little.
pub(crate) fn quiet_step(name: &str, command: &mut Command) -> Result<String> {
    let mut said = Vec::new();
    let outcome = timed(name, command, |command| {
        let output = command.output()?;
        said = [output.stdout, output.stderr].concat();
        Ok(output.status)
    });
    let said = String::from_utf8_lossy(&said).into_owned();
    if outcome.is_err() {
        eprint!("{said}");
    }
    outcome.map(|()| said)
}

fn timed(
    name: &str,
    command: &mut Command,
    run: impl FnOnce(&mut Command) -> std::io::Result<ExitStatus>,
) -> Result<()> {
    let line = command_line(command);
    announce(name, &line);
    let start = now();
    let status = run(command).with_context(|| format!("cannot run `{line}`"))?;
    let seconds = start.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{name} failed after {seconds:.1} s with {status}; to repeat it:\n    {line}");
    }
    eprintln!("    {name}: {seconds:.1} s");
    Ok(())
}

/// Says that a step is left out, and why.
pub(crate) fn skip(name: &str, reason: &str) {
    eprintln!("==> {name}: left out, {reason}");
}

/// Says what begins.
pub(crate) fn announce(name: &str, what: &str) {
    eprintln!("==> {name}: {what}");
}

/// Whether the program runs and answers with success, its output unseen.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Real time: a task measures the programs it runs.
#[expect(
    clippy::disallowed_methods,
    reason = "programs outside have no clock to read it from"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The command as a person would type it in the repository's root.
pub(crate) fn command_line(command: &Command) -> String {
    let root = workspace::root();
    let folder = command
        .get_current_dir()
        .and_then(|folder| folder.strip_prefix(&root).ok())
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| format!("cd {} &&", folder.display()));
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", quoted(name), quoted(value?))));
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted);
    folder
        .into_iter()
        .chain(variables)
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed() {
        let mut command = workspace::cargo(["test", "-p", "perf-core", "--", "it's"]);
        command
            .env("RUSTFLAGS", "--cfg loom")
            .current_dir(workspace::root().join("benches"));
        assert_eq!(
            command_line(&command),
            r"cd benches && RUSTFLAGS='--cfg loom' cargo test -p perf-core -- 'it'\''s'"
        );
    }

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let error = step("nothing", &mut Command::new("false")).expect_err("false fails");
        assert!(
            error.to_string().ends_with("to repeat it:\n    false"),
            "{error}"
        );
        let error = step("absent", &mut Command::new("no-such-program")).expect_err("it is absent");
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }

    #[test]
    fn a_step_that_succeeds_is_fine() {
        step("nothing", &mut Command::new("true")).expect("true succeeds");
        let said = quiet_step("echo", Command::new("echo").arg("hello")).expect("it succeeds");
        assert_eq!(said, "hello\n");
        quiet_step("nothing", &mut Command::new("false")).expect_err("false fails");
        assert!(answers("true", &[]) && !answers("false", &[]) && !answers("no-such-program", &[]));
    }
}
