//! Which variables of the environment are settings.

use std::collections::BTreeSet;

/// What a variable's name means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The setting of this key, which may not exist.
    Setting(String),
    /// No setting, and one typing error away from this variable that is one.
    Typo(String),
    /// Somebody else's.
    Foreign,
}

/// Flat names are not ours by any prefix: only a long one is so telling that another, one letter off, must
/// be meant for it.
const TELLING: usize = 13;

/// What the variable `name` means where `known` are the keys, as `database.pool_size`.
pub(super) fn meaning(name: &str, known: &BTreeSet<String>) -> Meaning {
    let lower = name.to_ascii_lowercase();
    let mut sections = known.iter().filter_map(|key| key.split('.').next());
    if let Some((section, rest)) = lower.split_once("__")
        && sections.any(|known| known == section)
    {
        return Meaning::Setting(format!("{section}.{}", rest.replace("__", ".")));
    }
    if let Some(key) = known.iter().find(|key| key.replace('.', "_") == lower) {
        return Meaning::Setting(key.clone());
    }
    let (divider, distance) = if lower.contains("__") {
        ("__", 2)
    } else {
        ("_", 1)
    };
    if divider == "_" && lower.len() < TELLING {
        return Meaning::Foreign;
    }
    let spelled = known.iter().map(|key| key.replace('.', divider));
    match nearest(&lower, spelled, distance) {
        Some(near) => Meaning::Typo(near.to_ascii_uppercase()),
        None => Meaning::Foreign,
    }
}

/// The candidate that is most like `text`, if one is much like it.
pub(super) fn similar<'c>(
    text: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    let likeness = |candidate| strsim::normalized_damerau_levenshtein(text, candidate);
    candidates
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// The candidate that is fewest typing errors from `text`, if they are at most so many.
fn nearest(text: &str, candidates: impl Iterator<Item = String>, most: usize) -> Option<String> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(text, &candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(name: &str) -> Meaning {
        let known = ["database.pool_size", "redis.url", "cache.default_ttl"];
        meaning(name, &known.map(String::from).into())
    }

    #[test]
    fn both_spellings_name_one_key() {
        let key = || Meaning::Setting("database.pool_size".into());
        for name in [
            "DATABASE__POOL_SIZE",
            "DATABASE_POOL_SIZE",
            "database__pool_size",
        ] {
            assert_eq!(meaning_of(name), key());
        }
        assert_eq!(
            meaning_of("REDIS_URL"),
            Meaning::Setting("redis.url".into())
        );
        // What a section lacks is for the loader to tell.
        assert_eq!(
            meaning_of("DATABASE__X__Y"),
            Meaning::Setting("database.x.y".into())
        );
    }

    #[test]
    fn the_likeliest_key_is_suggested() {
        let keys = ["pool_size", "pool_max_overflow", "pool_timeout"];
        let similar = |text| similar(text, keys.into_iter());
        assert_eq!(similar("pol_size"), Some("pool_size"));
        assert_eq!(similar("max_overflow"), Some("pool_max_overflow"));
        assert_eq!(similar("colour"), None);
    }

    #[test]
    fn typing_errors_are_told_from_other_programs_variables() {
        let size = |divider: &str| Meaning::Typo(format!("DATABASE{divider}POOL_SIZE"));
        assert_eq!(meaning_of("DATABSE__POOL_SIZE"), size("__"));
        assert_eq!(meaning_of("DATABASE_POOL_SISE"), size("_"));
        assert_eq!(
            meaning_of("CACHE_DEFAULT_TLT"),
            Meaning::Typo("CACHE_DEFAULT_TTL".into())
        );
        for name in [
            "REDIS_URI",
            "REDIS_PORT",
            "PATH",
            "CACHE_DIR",
            "OTHER__POOL",
            "DATABASE_POOLS",
        ] {
            assert_eq!(meaning_of(name), Meaning::Foreign, "{name}");
        }
    }
}
