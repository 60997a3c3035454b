//! What the compiler says of functions with `#[profile]`, and where.
//!
//! The files in `tests/ui` are compiled against the library that this test was built with; a comment
//! `//~ ERROR …` says that the line has an error, and how its message begins.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Line and message.
type Complaint = (u64, String);

/// What the compiler says of `file`, with the library in `library`.
fn complaints(file: &Path, library: &Path) -> BTreeSet<Complaint> {
    let folder = library.parent().unwrap();
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--crate-name=sample",
            "--crate-type=lib",
            "--emit=metadata",
            "--error-format=json",
        ])
        .arg(format!("--extern=perf_profile={}", library.display()))
        .arg(format!("-Ldependency={}", folder.display()))
        .arg("--out-dir")
        .arg(tempfile::tempdir().unwrap().path())
        .arg(file)
        .output()
        .unwrap();
    let diagnostics = String::from_utf8(output.stderr).unwrap();
    diagnostics.lines().filter_map(complaint).collect()
}

/// A diagnostic's first place and message; none for a summary, which has no place.
fn complaint(diagnostic: &str) -> Option<Complaint> {
    let diagnostic: Value = serde_json::from_str(diagnostic).unwrap();
    let mut spans = diagnostic["spans"].as_array()?.iter();
    let span = spans.find(|span| span["is_primary"] == true);
    let Some(span) = span else {
        let message = diagnostic["message"].as_str()?;
        let summary = [
            "aborting due to",
            "For more information",
            "Some errors have",
        ]
        .iter()
        .any(|summary| message.starts_with(summary));
        return (!summary).then(|| (0, message.to_owned()));
    };
    let message = diagnostic["message"].as_str()?.to_owned();
    Some((span["line_start"].as_u64()?, message))
}

/// The library that was built last and has the macro.
fn library() -> PathBuf {
    let folder = env::current_exe().unwrap().parent().unwrap().to_owned();
    let files = fs::read_dir(folder).unwrap();
    let mut libraries: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libperf_profile-") && name.ends_with(".rlib")
        })
        .collect();
    libraries.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
    let probe = tempfile::Builder::new().suffix(".rs").tempfile().unwrap();
    fs::write(probe.path(), "#[perf_profile::profile] pub fn probe() {}").unwrap();
    let mut newest = libraries.into_iter().rev();
    let usable = newest.find(|library| complaints(probe.path(), library).is_empty());
    usable.unwrap()
}

/// What the file's comments say.
fn expected(file: &Path) -> Vec<Complaint> {
    let text = fs::read_to_string(file).unwrap();
    let lines = (1..).zip(text.lines());
    let expected = lines.filter_map(|(number, line)| {
        let (_, message) = line.split_once("//~ ERROR ")?;
        Some((number, message.to_owned()))
    });
    expected.collect()
}

#[test]
fn complaints_stand_where_the_mistake_is() {
    let library = library();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    for name in ["accepted.rs", "mistaken.rs", "refused.rs"] {
        let file = folder.join(name);
        let (said, expected) = (complaints(&file, &library), expected(&file));
        let agree = said.len() == expected.len()
            && said
                .iter()
                .zip(&expected)
                .all(|((line, message), (number, start))| {
                    line == number && message.starts_with(start)
                });
        assert!(agree, "{name}: {said:#?}");
    }
}
