//! Keys from what the macros read in a template.
//!
//! `("a:b", "c")` and `("a", "b:c")` must not make one key. So every character that stands in the
//! template's own text is escaped where a value contains it, and so is the backslash that escapes: the
//! first unescaped one then ends the value.

use crate::pattern::Pattern;
use std::fmt::{Display, Write};

/// The literals with the values between them.
#[must_use]
pub fn key(literals: &[&str], values: &[&dyn Display]) -> String {
    join(literals, values, |_| true, |value| value)
}

/// As [`key`], for a pattern: an asterisk in a literal is a wildcard and no text, one in a value is text.
#[must_use]
pub fn pattern(literals: &[&str], values: &[&dyn Display]) -> String {
    let is_text = |character| character != '*';
    join(literals, values, is_text, |value| Pattern::escape(&value))
}

fn join(
    literals: &[&str],
    values: &[&dyn Display],
    is_text: impl Fn(char) -> bool,
    finish: impl Fn(String) -> String,
) -> String {
    let texts = literals.iter().flat_map(|literal| literal.chars());
    let special: String = texts
        .filter(|text| is_text(*text))
        .chain(std::iter::once('\\'))
        .collect();
    let mut key = String::new();
    let mut values = values.iter();
    for literal in literals {
        key.push_str(literal);
        if let Some(value) = values.next() {
            let mut escaped = Escaped {
                text: String::new(),
                special: &special,
            };
            // Writing to a string fails only where a value's own `Display` does.
            let _written = write!(escaped, "{value}");
            key.push_str(&finish(escaped.text));
        }
    }
    key
}

struct Escaped<'a> {
    text: String,
    special: &'a str,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            if self.special.contains(character) {
                self.text.push('\\');
            }
            self.text.push(character);
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn different_values_make_different_keys(
            left in prop::array::uniform2(r"[a:\\x*]{0,4}"), right in prop::array::uniform2(r"[a:\\x*]{0,4}"),
        ) {
            let literals = ["x", ":a", ""];
            let made = |values: &[String; 2]| key(&literals, &[&values[0], &values[1]]);
            prop_assert_eq!(made(&left) == made(&right), left == right);
        }

        #[test]
        fn a_pattern_without_wildcards_matches_its_own_key_alone(
            value in r"[a:\\*]{0,5}", other in r"[a:\\*]{0,5}",
        ) {
            let pattern = Pattern::new(&pattern(&["k:", ""], &[&value]));
            prop_assert!(pattern.matches(&key(&["k:", ""], &[&value])));
            prop_assert_eq!(pattern.matches(&key(&["k:", ""], &[&other])), value == other);
        }
    }

    #[test]
    fn an_asterisk_of_the_template_is_a_wildcard() {
        assert_eq!(key(&["user:", ""], &[&7]), "user:7");
        let seven = Pattern::new(&pattern(&["resource:*:", ""], &[&"a*"]));
        assert!(seven.matches("resource:x:a*") && !seven.matches("resource:x:ab"));
    }
}
