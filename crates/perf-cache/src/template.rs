//! Keys from what the macros read in a template.
//!
//! `("a:b", "c")` and `("a", "b:c")` must not make one key. So a value ends at the first separator that is
//! not escaped: each separator in a value is, and the backslash that escapes. The macros see to it that
//! the text after a value begins with one. Which characters separate does not depend on the template,
//! so that a pattern, a tag or a key written by hand spells a value as every template does.

use crate::pattern::Pattern;
use std::fmt::{Display, Write};

/// What ends a value; the macros know the same.
const SEPARATORS: &str = ":/|,;#&=";

/// The literals with the values between them.
#[must_use]
pub fn key(literals: &[&str], values: &[&dyn Display]) -> String {
    join(literals, values, |value| value)
}

/// As [`key`], for a pattern: an asterisk in a literal is a wildcard and no text, one in a value is text.
#[must_use]
pub fn pattern(literals: &[&str], values: &[&dyn Display]) -> String {
    join(literals, values, |value| Pattern::escape(&value))
}

fn join(literals: &[&str], values: &[&dyn Display], finish: impl Fn(String) -> String) -> String {
    let mut key = String::new();
    let mut values = values.iter();
    for literal in literals {
        key.push_str(literal);
        if let Some(value) = values.next() {
            let mut escaped = Escaped(String::new());
            // Writing to a string fails only where a value's own `Display` does.
            let _written = write!(escaped, "{value}");
            key.push_str(&finish(escaped.0));
        }
    }
    key
}

struct Escaped(String);

impl Write for Escaped {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            if character == '\\' || SEPARATORS.contains(character) {
                self.0.push('\\');
            }
            self.0.push(character);
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
            left in prop::array::uniform2(r"[a:\\/*]{0,4}"), right in prop::array::uniform2(r"[a:\\/*]{0,4}"),
            separator in prop::sample::select(vec![":", ":a", "/", r":\", "|:"]),
        ) {
            let literals = ["x", separator, ""];
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
