//! No large file, except the examples' data.

use super::{Finding, files};
use anyhow::Result;
use std::path::Path;

const MAX_MEBIBYTES: u64 = 1;

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files::list(root)? {
        let size = root.join(&path).symlink_metadata()?.len();
        if size > MAX_MEBIBYTES << 20 && !path.starts_with("examples/data") {
            let message = format!("{size} bytes; at most {MAX_MEBIBYTES} MiB is kept here");
            findings.push(Finding::new(path, 0, message));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_large_file_is_data_or_a_finding() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("examples/data");
        fs::create_dir_all(&data).expect("writable");
        fs::write(data.join("large"), vec![0; (1 << 20) + 1]).expect("writable");
        fs::write(folder.path().join("fitting"), vec![0; 1 << 20]).expect("writable");
        assert_eq!(check(folder.path()).expect("readable"), []);
        fs::write(folder.path().join("large"), vec![0; (1 << 20) + 1]).expect("writable");
        let message = "1048577 bytes; at most 1 MiB is kept here";
        assert_eq!(
            check(folder.path()).expect("readable"),
            [Finding::new("large", 0, message)]
        );
    }
}
