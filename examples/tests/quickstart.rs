//! What the quickstart says of bad input: one clear line, a failure, no panic.

use perfkit_examples::example;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The quickstart that was built together with this test.
fn quickstart() -> Command {
    example("quickstart")
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/nycflights13")
}

/// A copy of the data set in which one file is replaced.
fn with(name: &str, content: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(data()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

fn refuses(output: &Output, complaint: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let line = stderr
        .lines()
        .find(|line| line.starts_with("quickstart: "))
        .unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        line.contains(complaint),
        "{complaint:?} is not in {stderr:?}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn a_missing_folder_is_named() {
    let output = quickstart().arg("/nowhere").output().unwrap();
    refuses(
        &output,
        "cannot read /nowhere/flights-2013-01.csv.gz: No such file",
    );
}

#[test]
fn a_corrupt_archive_is_named() {
    let folder = with("planes.csv.gz", b"no gzip at all");
    let output = quickstart().arg(folder.path()).output().unwrap();
    refuses(&output, "planes.csv.gz: ");
}

#[test]
fn a_truncated_archive_is_named() {
    let whole = fs::read(data().join("flights-2013-01.csv.gz")).unwrap();
    let folder = with("flights-2013-01.csv.gz", &whole[..whole.len() / 2]);
    let output = quickstart().arg(folder.path()).output().unwrap();
    refuses(&output, "flights-2013-01.csv.gz: ");
}

#[test]
fn a_field_that_is_no_number_is_located() {
    let folder = with("planes.csv.gz", &[]);
    let output = quickstart().arg(folder.path()).output().unwrap();
    refuses(&output, "planes.csv.gz: ");
    let folder = with("airlines.csv", b"carrier,title\nDL,Delta\n");
    let output = quickstart().arg(folder.path()).output().unwrap();
    refuses(&output, "airlines.csv: CSV deserialize error: record 1");
}

#[test]
fn a_temporary_folder_that_cannot_be_written_is_named() {
    let output = quickstart()
        .env("TMPDIR", "/proc/nowhere")
        .output()
        .unwrap();
    refuses(&output, "cannot create a temporary folder");
}
