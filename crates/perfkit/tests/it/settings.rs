use perfkit::settings::{Loader, Settings, SettingsError};
use proptest::prelude::*;
use std::fs;
use std::time::Duration;

const SEED: [(&str, &str); 13] = [
    ("DATABASE__POOL_SIZE", "7"),
    ("DATABASE__POOL_MAX_OVERFLOW", "3"),
    ("DATABASE__POOL_TIMEOUT", "2.5"),
    ("DATABASE__POOL_RECYCLE", "-1"),
    ("REDIS__POOL_SIZE", "2"),
    ("REDIS__MAX_CONNECTIONS", "20"),
    ("CACHE__ENABLED", "false"),
    ("CACHE__DEFAULT_TTL", "600"),
    ("RATE_LIMIT__ENABLED", "0"),
    ("RATE_LIMIT__PER_MINUTE", "1000"),
    ("PERFORMANCE__QUERY_SLOW_THRESHOLD", "0.05"),
    ("PERFORMANCE__BULK_INSERT_CHUNK_SIZE", "1_000"),
    ("PERFORMANCE__ASYNC_WORKER_COUNT", "8"),
];

fn load(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::loader()
        .variables(variables.iter().copied())
        .load()
}

fn problems(loader: Loader) -> Vec<String> {
    let error = loader.load().expect_err("something is wrong");
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn every_key_of_the_guides_is_read_in_both_spellings() {
    let nested = load(&SEED).expect("all are right");
    assert_eq!(
        (nested.database.pool_size, nested.database.pool_max_overflow),
        (7, 3)
    );
    assert_eq!(nested.database.pool_timeout, Duration::from_millis(2_500));
    assert_eq!(nested.database.pool_recycle, None);
    assert_eq!(
        (nested.redis.pool_size, nested.redis.max_connections),
        (2, 20)
    );
    assert!(!nested.cache.enabled);
    assert_eq!(nested.cache.default_ttl, Duration::from_secs(600));
    assert!(!nested.rate_limit.enabled);
    assert_eq!(nested.rate_limit.per_minute, Some(1_000));
    let performance = &nested.performance;
    assert_eq!(performance.query_slow_threshold, Duration::from_millis(50));
    assert_eq!(
        (
            performance.bulk_insert_chunk_size,
            performance.async_worker_count
        ),
        (1_000, 8)
    );

    let flat: Vec<_> = SEED
        .iter()
        .map(|(name, value)| (name.replace("__", "_"), *value))
        .collect();
    assert_eq!(
        Settings::loader().variables(flat).load().as_ref(),
        Ok(&nested)
    );
}

#[test]
fn later_sources_go_before_earlier_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("service.toml");
    fs::write(
        &path,
        "[cache]\nmax_entries = 5\ndefault_ttl = 5\nload_timeout = 5",
    )
    .expect("writable");
    let settings = Settings::loader()
        .file(&path)
        .variables([("CACHE__DEFAULT_TTL", "6"), ("CACHE__LOAD_TIMEOUT", "6")])
        .set("cache.load_timeout", "7", "--load-timeout")
        .load()
        .expect("all are right");
    let times = [settings.cache.default_ttl, settings.cache.load_timeout];
    assert_eq!(
        (settings.cache.max_entries, times),
        (5, [6, 7].map(Duration::from_secs))
    );
    // What nobody said is as by default.
    assert_eq!(settings.database, Settings::default().database);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_source() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("service.toml");
    let text =
        "[databse]\npool_size = 5\n[pagination]\nmax_size = 10\ndefault_size = 11\nmaxsize = 1\n";
    fs::write(&path, text).expect("writable");
    let found = problems(
        Settings::loader()
            .file(&path)
            .file(folder.path().join("absent.toml"))
            .variables([
                ("DATABASE__POOL_SIZE", "ten"),
                ("REDIS__POOL_SIZE", "0"),
                ("CACHE_ENABLED", "maybe"),
                ("CIRCUIT_BREAKER__FAILURE_RATE", "1.5"),
                ("DATABASE_POOL_SISE", "5"),
                ("PATH", "/bin"),
            ])
            .set("redis.url", "http://localhost", "--redis-url"),
    );
    let file = format!("TOML file {}", path.display());
    let variable = |name: &str| format!("environment variable {name}");
    let expected = [
        (
            format!("TOML file {}", folder.path().join("absent.toml").display()),
            "No such file",
        ),
        (
            variable("DATABASE_POOL_SISE"),
            "no such setting, did you mean DATABASE_POOL_SIZE?",
        ),
        (
            format!("database.pool_size ({})", variable("DATABASE__POOL_SIZE")),
            "\"ten\" is not a whole number from 1 to 100,000",
        ),
        (
            "redis.url (--redis-url)".into(),
            "the value is not a URL that begins with one of redis:, rediss:, redis+unix:, unix:",
        ),
        (
            format!("redis.pool_size ({})", variable("REDIS__POOL_SIZE")),
            "\"0\" is not a whole number from 1 to 1,000",
        ),
        (
            format!("cache.enabled ({})", variable("CACHE_ENABLED")),
            "\"maybe\" is not true or false",
        ),
        (
            format!(
                "circuit_breaker.failure_rate ({})",
                variable("CIRCUIT_BREAKER__FAILURE_RATE")
            ),
            "\"1.5\" is not a share above 0, at most 1",
        ),
        (
            format!("pagination.default_size ({file})"),
            "11 is not a whole number from 1 to 10",
        ),
        (
            format!("databse ({file})"),
            "no such setting, did you mean database?",
        ),
        (
            format!("pagination.maxsize ({file})"),
            "no such setting, did you mean pagination.max_size?",
        ),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (start, rest)) in found.iter().zip(expected) {
        assert!(found.starts_with(&format!("{start}: {rest}")), "{found}");
    }
}

#[test]
fn two_spellings_that_disagree_are_a_problem() {
    let one = ("DATABASE__POOL_SIZE", "5");
    load(&[one, ("DATABASE_POOL_SIZE", "5")]).expect("they agree");
    load(&[one, ("DATABASE_POOL_SIZE", "")]).expect("an empty one counts as not set");
    let variables = [one, ("DATABASE_POOL_SIZE", "6")];
    let expected = "database.pool_size (environment variable DATABASE_POOL_SIZE): DATABASE__POOL_SIZE says otherwise";
    assert_eq!(
        problems(Settings::loader().variables(variables)),
        [expected]
    );
}

#[test]
fn a_section_of_the_services_own_is_left_to_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("service.toml");
    fs::write(&path, "[flights]\nairport = 'EWR'\n").expect("writable");
    Settings::loader()
        .file(&path)
        .foreign_section("flights")
        .load()
        .expect("it is known");
    assert_eq!(problems(Settings::loader().file(&path)).len(), 1);
}

#[test]
fn no_secret_is_shown() {
    let url = "postgres://app:hunter2@db/flights";
    let loader = Settings::loader().variables([("DATABASE__URL", url)]);
    let settings = loader.clone().load().expect("it is right");
    assert_eq!(
        settings.database.url.as_ref().map(|url| url.expose()),
        Some(url)
    );
    for shown in [format!("{settings:?}"), format!("{loader:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("service.toml");
    for text in [
        "[database]\nurl = 'postgres://app:hunter2@db\n",
        "[database]\nurl = 'redis://app:hunter2@db'\n",
        "[database]\nurll = 'postgres://app:hunter2@db'\n",
        "[database]\nurl = ['hunter2']\n",
        "database = 'hunter2'\n",
    ] {
        fs::write(&path, text).expect("writable");
        let error = Settings::loader()
            .file(&path)
            .load()
            .expect_err("it is wrong");
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}

#[test]
fn a_broken_file_does_not_hide_other_problems() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("service.toml");
    fs::write(&path, "[cache\n").expect("writable");
    let found = problems(
        Settings::loader()
            .file(&path)
            .variables([("CACHE__ENABLED", "x")]),
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("TOML parse error at line 1"), "{found:?}");
    assert!(
        Settings::loader()
            .file_if_present(folder.path().join("absent"))
            .load()
            .is_ok()
    );
}

proptest! {
    /// Whatever a variable holds, it is read or refused by name, and nothing else is refused with it.
    #[test]
    fn one_wrong_value_is_one_problem(choice in 0..SEED.len(), value in "\\PC{0,20}") {
        let (name, _) = SEED[choice];
        if let Err(error) = load(&[(name, &value)]) {
            let sources: Vec<_> = error.problems().iter().map(|problem| problem.source.as_str()).collect();
            prop_assert_eq!(sources, [format!("environment variable {name}")]);
        }
    }

    /// What is in range is read as it was written.
    #[test]
    fn a_right_value_is_read(size in 1_u32..=100_000, millis in 1_u64..=86_400_000) {
        let time = format!("{millis}ms");
        let size_text = size.to_string();
        let variables = [("DATABASE__POOL_SIZE", &*size_text), ("DATABASE__POOL_TIMEOUT", &*time)];
        let settings = load(&variables).expect("both are right");
        prop_assert_eq!(settings.database.pool_size, size);
        prop_assert_eq!(settings.database.pool_timeout, Duration::from_millis(millis));
    }
}
