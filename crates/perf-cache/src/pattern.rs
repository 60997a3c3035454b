use std::iter;

/// A pattern of keys: `*` stands for any text, `\` takes the next character as it is.
///
/// ```
/// use perf_cache::store::Pattern;
///
/// let agents = Pattern::new("agents:*:7");
/// assert!(agents.matches("agents:red:7") && agents.matches("agents::7"));
/// assert!(!agents.matches("agents:red:8"));
/// assert!(Pattern::new(r"100\*").matches("100*") && !Pattern::new(r"100\*").matches("100%"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the asterisks; at least one.
    literals: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. A backslash at the end stands for itself.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut literals = Vec::new();
        let mut literal = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' => literals.push(std::mem::take(&mut literal)),
                '\\' => literal.push(characters.next().unwrap_or('\\')),
                other => literal.push(other),
            }
        }
        literals.push(literal);
        Self { literals }
    }

    /// The pattern that matches `text` alone, to stand beside other parts of one.
    ///
    /// ```
    /// use perf_cache::store::Pattern;
    ///
    /// let shop = "a*b";
    /// let pattern = Pattern::new(&format!("shop:{}:*", Pattern::escape(shop)));
    /// assert!(pattern.matches("shop:a*b:7") && !pattern.matches("shop:axb:7"));
    /// ```
    #[must_use]
    pub fn escape(text: &str) -> String {
        escape(text, r"*\")
    }

    /// The same pattern of keys that begin with `prefix`.
    #[must_use]
    pub(crate) fn within(mut self, prefix: &str) -> Self {
        self.literals[0].insert_str(0, prefix);
        self
    }

    /// Whether it matches the whole `key`.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        let Some((first, others)) = self.literals.split_first() else {
            return false;
        };
        let Some(mut rest) = key.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty();
        };
        for literal in middle {
            let Some(at) = rest.find(literal.as_str()) else {
                return false;
            };
            rest = &rest[at + literal.len()..];
        }
        rest.ends_with(last.as_str())
    }

    /// The pattern as Redis writes it.
    #[must_use]
    pub fn glob(&self) -> String {
        let literals = self.literals.iter().map(|text| escape(text, r"*?[]^\"));
        literals.collect::<Vec<_>>().join("*")
    }
}

fn escape(text: &str, special: &str) -> String {
    let escaped = text.chars().flat_map(|character| {
        let backslash = special.contains(character).then_some('\\');
        backslash.into_iter().chain(iter::once(character))
    });
    escaped.collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tries every split of the key at each asterisk.
    fn naive(pattern: &[char], key: &[char]) -> bool {
        match pattern {
            [] => key.is_empty(),
            ['*', rest @ ..] => (0..=key.len()).any(|at| naive(rest, &key[at..])),
            [first, rest @ ..] => key.first() == Some(first) && naive(rest, &key[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_a_naive_matcher_does(pattern in "[ab*]{0,6}", key in "[ab]{0,8}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = naive(&characters(&pattern), &characters(&key));
            prop_assert_eq!(Pattern::new(&pattern).matches(&key), expected);
        }

        #[test]
        fn escaped_text_matches_itself_alone(text in ".{0,12}", other in ".{0,12}") {
            let pattern = Pattern::new(&Pattern::escape(&text));
            prop_assert!(pattern.matches(&text));
            prop_assert_eq!(pattern.matches(&other), text == other);
        }
    }

    #[test]
    fn what_is_special_to_redis_is_escaped() {
        let pattern = Pattern::new(r"a?[b]:*:\*").within("name:v:");
        assert_eq!(pattern.glob(), r"name:v:a\?\[b\]:*:\*");
    }
}
