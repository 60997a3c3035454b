use crate::functions::CallPath;
use std::fmt;

/// Call paths in the format of Brendan Gregg's flame graphs, weighted by own microseconds.
struct Folded<'a>(&'a [CallPath]);

pub(crate) fn folded(paths: &[CallPath]) -> impl fmt::Display + '_ {
    Folded(paths)
}

impl fmt::Display for Folded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in self.0 {
            self.write_names(path, f)?;
            writeln!(f, " {}", path.own.as_micros())?;
        }
        Ok(())
    }
}

impl Folded<'_> {
    /// At most 128 levels, the limit of call paths.
    fn write_names(&self, path: &CallPath, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = path.parent.and_then(|parent| self.0.get(parent)) {
            self.write_names(parent, f)?;
            f.write_str(";")?;
        }
        // The separators of the format cannot stand in a name.
        for letter in path.name.chars() {
            let separator = letter == ';' || letter.is_whitespace();
            write!(f, "{}", if separator { '_' } else { letter })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_path_is_a_line_with_its_own_time() {
        let path = |name, parent, own| CallPath {
            name,
            parent,
            calls: 1,
            cumulative: Duration::ZERO,
            own: Duration::from_micros(own),
        };
        let paths = [
            path("main", None, 5),
            path("load; all", Some(0), 7),
            path("decode", Some(1), 9),
        ];
        assert_eq!(
            folded(&paths).to_string(),
            "main 5\nmain;load__all 7\nmain;load__all;decode 9\n"
        );
    }
}
