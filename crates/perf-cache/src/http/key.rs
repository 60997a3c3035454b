use crate::store::Pattern;
use http::HeaderMap;
use http::header::HeaderName;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// What a response is kept under.
///
/// Its parts are told apart by spaces, of which a URI has none, and by lengths where they may contain
/// some.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ResponseKey(Arc<str>);

impl ResponseKey {
    pub(super) fn new(parts: &Parts, host: &str, query: &Query, scope: Option<&str>) -> Self {
        let mut key = format!("{host} {}", parts.uri.path());
        let selected = parts.uri.query().map(|asked| query.select(asked));
        if let Some(selected) = selected.filter(|selected| !selected.is_empty()) {
            key.push('?');
            key.push_str(&selected);
        }
        if let Some(scope) = scope {
            push(&mut key, "of", scope);
        }
        Self(key.into())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of one variant.
    pub(super) fn with_variant(&self, variant: &str) -> Self {
        Self(format!("{}{variant}", self.0).into())
    }
}

impl fmt::Display for ResponseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The values that a request has of the headers by which a response varies.
pub(super) fn variant(varies: &[HeaderName], headers: &HeaderMap) -> String {
    let mut variant = String::new();
    for name in varies {
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        push(
            &mut variant,
            name.as_str(),
            &values.collect::<Vec<_>>().join(", "),
        );
    }
    variant
}

fn push(key: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _written = write!(key, " {name}={}:{value}", value.len());
}

/// Which parameters of a query tell one response from another.
#[derive(Clone, Debug)]
pub(super) enum Query {
    /// All, in the order they come.
    All,
    /// Those whose name matches, sorted by name.
    Only(Vec<Pattern>),
    /// Those whose name does not, sorted by name.
    Except(Vec<Pattern>),
}

impl Query {
    fn select(&self, query: &str) -> String {
        let (patterns, wanted) = match self {
            Self::All => return query.to_owned(),
            Self::Only(patterns) => (patterns, true),
            Self::Except(patterns) => (patterns, false),
        };
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
        let mut selected: Vec<(String, &str)> = parameters
            .map(|parameter| (name(parameter), parameter))
            .filter(|(name, _)| patterns.iter().any(|pattern| pattern.matches(name)) == wanted)
            .collect();
        // Stable: the order of values under one name may mean something.
        selected.sort_by(|(one, _), (other, _)| one.cmp(other));
        let parameters = selected.into_iter().map(|(_, parameter)| parameter);
        parameters.collect::<Vec<_>>().join("&")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterns(names: &[&str]) -> Vec<Pattern> {
        names.iter().map(|name| Pattern::new(name)).collect()
    }

    #[test]
    fn parameters_are_chosen_and_sorted_by_name() {
        let query = "b=2&utm_source=x&a=1&b=1&utm_id";
        let all = Query::All.select(query);
        assert_eq!(all, query);
        let except = Query::Except(patterns(&["utm_*"])).select(query);
        assert_eq!(except, "a=1&b=2&b=1");
        let only = Query::Only(patterns(&["b"])).select(query);
        assert_eq!(only, "b=2&b=1");
    }

    proptest! {
        /// Whatever clients write into headers, their variants do not meet.
        #[test]
        fn variants_differ_where_a_value_does(
            some in ("[ -~]{0,8}", "[ -~]{0,8}"), other in ("[ -~]{0,8}", "[ -~]{0,8}"),
        ) {
            let names = [http::header::ACCEPT, http::header::ACCEPT_LANGUAGE];
            let headers = |values: &(String, String)| {
                let pairs = names.iter().cloned().zip([&values.0, &values.1]);
                pairs.map(|(name, value)| (name, value.parse().unwrap())).collect::<HeaderMap>()
            };
            let (one, two) = (variant(&names, &headers(&some)), variant(&names, &headers(&other)));
            prop_assert_eq!(one == two, some == other);
        }
    }
}
