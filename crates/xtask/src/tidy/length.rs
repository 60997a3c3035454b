//! A file has at most 400 lines of code: no blanks, comments, docs or inline tests.

use super::Finding;
use super::files::File;

const MAX_LINES: usize = 400;

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let is_code = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let lines = file
        .lines_without_tests()
        .map(|(_, line)| line.trim())
        .filter(is_code)
        .count();
    if lines <= MAX_LINES {
        return Vec::new();
    }
    let message = format!("{lines} lines of code; split it below {MAX_LINES}");
    vec![Finding::new(&file.path, 0, message)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_counts() {
        let long = "let x = 1;\n".repeat(MAX_LINES);
        let around = "/// Docs.\n\n// why\n#![doc = \"\"]\n";
        let fits = long.replacen("let x = 1;\n", "", 1) + around;
        assert_eq!(check(&File::new("src/a.rs", &fits)), []);
        assert_eq!(
            check(&File::new("src/a.rs", &(long + around))),
            [Finding::new(
                "src/a.rs",
                0,
                "401 lines of code; split it below 400"
            )]
        );
    }
}
