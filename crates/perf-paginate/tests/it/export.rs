//! Exports: complete or known not to be, and continued to the very same bytes.

use crate::rows::{self, Row, keyed};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use perf_paginate::{
    Condition, Error, Export, Field, PageQuery, PageSource, Paginator, Plain, Recovery, Schema,
    Selection, Signed, SliceSource, SqlSource,
};
use perf_testkit::allocations::{CountingAllocator, peak_bytes};
use perf_testkit::{MariaDbServer, PostgresServer};
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde::Serialize;
use serde_json::json;
use sqlx::mysql::MySqlPool;
use sqlx::postgres::PgPool;
use sqlx::{MySql, Postgres};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::{NonZeroU32, NonZeroU64};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn rows(count: i64) -> Vec<Row> {
    let row = |id| Row {
        id: id * 7 % count,
        a: (id % 3 > 0).then_some(id % 5),
        b: Some(format!("é{}", id % 4)),
        c: id % 2,
        d: true,
    };
    (0..count).map(row).collect()
}

fn paginator(count: i64) -> Paginator<SliceSource<Row>> {
    let source = SliceSource::new(keyed(&["id"]).unwrap(), rows(count));
    Paginator::new(source, Signed::new(&[7; 32]).unwrap())
}

fn query() -> PageQuery {
    PageQuery::new().sort("-a,b")
}

/// An export with many checkpoints, at none of which a batch ends.
fn export<S: PageSource<Item = Row>>(paginator: &Paginator<S>, compressed: bool) -> Export<S> {
    let export = paginator
        .export(&query())
        .unwrap()
        .batch(NonZeroU32::new(7).unwrap())
        .checkpoint_every(NonZeroU64::new(10).unwrap());
    if compressed { export.gzip(1) } else { export }
}

async fn bytes<S: PageSource<Item = Row>>(export: Export<S>) -> Vec<u8> {
    export.try_collect::<Vec<_>>().await.unwrap().concat()
}

fn recovery(copy: &[u8], compressed: bool) -> Recovery {
    let found = if compressed {
        Recovery::read_gzip(copy)
    } else {
        Recovery::read(copy)
    };
    found.unwrap()
}

/// Cuts the export off a hundred times, at any byte, and continues it each time.
async fn survive_kills<S: PageSource<Item = Row>>(paginator: &Paginator<S>, compressed: bool) {
    let unbroken = bytes(export(paginator, compressed)).await;
    assert!(recovery(&unbroken, compressed).is_complete);
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut resumed = 0;
    for kill in 0..100 {
        // Some exports are killed again while they are being continued.
        let mut copy = Vec::new();
        for _ in 0..=kill % 3 {
            let found = recovery(&copy, compressed);
            copy.truncate(usize::try_from(found.length).unwrap());
            let mut export = export(paginator, compressed);
            if let Some(checkpoint) = &found.checkpoint {
                export = export.resume(checkpoint).unwrap();
                resumed += 1;
            }
            let until = copy.len() + below(&mut random, unbroken.len() - copy.len());
            while let Some(piece) = export.next().await {
                copy.extend_from_slice(&piece.unwrap());
                if copy.len() >= until {
                    break;
                }
            }
            copy.truncate(until);
            assert!(!recovery(&copy, compressed).is_complete, "cut at {until}");
        }
        let found = recovery(&copy, compressed);
        copy.truncate(usize::try_from(found.length).unwrap());
        let mut rest = export(paginator, compressed);
        if let Some(checkpoint) = &found.checkpoint {
            rest = rest.resume(checkpoint).unwrap();
        }
        copy.extend(bytes(rest).await);
        assert!(copy == unbroken, "after kill {kill}");
    }
    assert!(resumed > 50, "{resumed} exports were continued");
}

fn below(random: &mut TestRng, end: usize) -> usize {
    use proptest::prelude::Rng as _;
    usize::try_from(random.next_u32()).unwrap() % end
}

#[tokio::test]
async fn an_export_killed_a_hundred_times_is_the_unbroken_one() {
    survive_kills(&paginator(300), false).await;
}

#[tokio::test]
async fn a_compressed_export_killed_a_hundred_times_is_the_unbroken_one() {
    survive_kills(&paginator(300), true).await;
}

#[tokio::test]
async fn an_export_of_a_database_killed_a_hundred_times_is_the_unbroken_one() {
    let pool = rows::table().await;
    rows::fill(&pool, &rows(300)).await;
    let source = SqlSource::new(pool).unwrap();
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    survive_kills::<SqlSource<sqlx::Sqlite, Row>>(&paginator, false).await;
}

#[tokio::test]
async fn an_export_of_postgres_killed_a_hundred_times_is_the_unbroken_one() {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
           INSERT INTO rows SELECT id, NULLIF(id % 5, 0), 'é' || id % 4, id % 2, true FROM generate_series(1::bigint, 300) AS id;"#,
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<Postgres, Row>::new(pool).unwrap();
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    survive_kills(&paginator, false).await;
}

#[tokio::test]
async fn an_export_of_mariadb_killed_a_hundred_times_is_the_unbroken_one() {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
    sqlx::raw_sql(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) COLLATE utf8mb4_nopad_bin, c BIGINT NOT NULL, d BOOLEAN NOT NULL);
         INSERT INTO `rows` SELECT seq, NULLIF(seq % 5, 0), CONCAT('é', seq % 4), seq % 2, true FROM seq_1_to_300;",
    )
    .execute(&pool)
    .await
    .unwrap();
    let source = SqlSource::<MySql, Row>::new(pool).unwrap();
    let paginator = Paginator::new(source, Signed::new(&[7; 32]).unwrap());
    survive_kills(&paginator, true).await;
}

#[tokio::test]
async fn every_cut_of_a_compressed_export_is_found_out() {
    let whole = bytes(export(&paginator(40), true)).await;
    for length in 0..whole.len() {
        assert!(!recovery(&whole[..length], true).is_complete, "{length}");
    }
    for position in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[position] ^= 0x55;
        let found = recovery(&damaged, true);
        // A changed time or name in a member's header changes no row.
        let rows = found.length == 0 || found.rows <= 40;
        assert!(rows, "{position}");
    }
}

#[tokio::test]
async fn lines_are_rows_in_order_and_three_kinds_of_records() {
    let text = String::from_utf8(bytes(export(&paginator(25), false)).await).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 25 + 2 + 1);
    assert!(lines[10].starts_with(r#"{"$checkpoint":{"rows":10,"cursor":""#));
    assert_eq!(lines[27], r#"{"$end":{"rows":25}}"#);
    assert_eq!(lines[0], r#"{"id":3,"a":4,"b":"é0","c":0,"d":true}"#);
    let empty = bytes(export(&paginator(0), false)).await;
    assert_eq!(empty, b"{\"$end\":{\"rows\":0}}\n");
}

#[tokio::test]
async fn a_checkpoint_continues_only_its_own_export() {
    let paginator = paginator(30);
    let text = bytes(export(&paginator, false)).await;
    let found = recovery(&text[..text.len() - 1], false);
    let checkpoint = found.checkpoint.unwrap();
    let other = paginator.export(&PageQuery::new().sort("b")).unwrap();
    assert_eq!(other.resume(&checkpoint).unwrap_err().status(), 400);
    let tenant = paginator.scoped("another tenant");
    let other = tenant.export(&query()).unwrap();
    assert_eq!(other.resume(&checkpoint).unwrap_err().status(), 400);
}

/// A source whose third answer is a failure.
#[derive(Debug)]
struct Failing {
    inner: SliceSource<Row>,
    asked: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl PageSource for Failing {
    type Item = Row;

    fn schema(&self) -> &Schema<Row> {
        self.inner.schema()
    }

    async fn rows(&self, selection: &Selection<'_>) -> Result<Vec<Row>, Error> {
        let asked = self
            .asked
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if asked == 2 {
            return Err(Error::Backend {
                source: "the server is gone".into(),
                transient: true,
            });
        }
        self.inner.rows(selection).await
    }

    async fn count(&self, _: &Condition, _: Option<u64>) -> Result<u64, Error> {
        panic!("nothing is counted")
    }
}

#[tokio::test]
async fn an_export_that_fails_says_so_and_can_be_continued() {
    let failing = Failing {
        inner: SliceSource::new(keyed(&["id"]).unwrap(), rows(30)),
        asked: 0.into(),
    };
    let paginator = Paginator::new(failing, Signed::new(&[7; 32]).unwrap());
    let pieces: Vec<_> = export(&paginator, false).collect().await;
    let error = pieces.last().unwrap().as_ref().unwrap_err();
    assert!(error.is_transient());
    let pieces = pieces.iter().filter_map(|piece| piece.as_ref().ok());
    let mut copy = pieces.flat_map(|piece| piece.to_vec()).collect::<Vec<u8>>();
    assert!(copy.ends_with(b"{\"$error\":{\"rows\":14,\"transient\":true}}\n"));

    let found = recovery(&copy, false);
    assert_eq!((found.is_complete, found.rows), (false, 10));
    copy.truncate(usize::try_from(found.length).unwrap());
    let rest = export(&paginator, false).resume(&found.checkpoint.unwrap());
    copy.extend(bytes(rest.unwrap()).await);
    assert!(recovery(&copy, false).is_complete);
}

/// Rows of the large export: a million in a soak.
fn size() -> i64 {
    if std::env::var_os("PERF_SOAK_CASES").is_some() {
        1_000_000
    } else {
        40_000
    }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1_024
}

#[test]
fn an_export_of_any_size_takes_little_memory() {
    const LIMIT: u64 = 8 << 20;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let paginator = runtime.block_on(async {
        let database = PostgresServer::shared().unwrap().database().unwrap();
        let pool = PgPool::connect(&database.url_unix()).await.unwrap();
        let fill = format!(
            r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
               INSERT INTO rows SELECT id, NULLIF(id * 7919 % 1009, 0), 'some text of ' || id, id % 7, true
               FROM generate_series(1::bigint, {}) AS id;"#,
            size()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&pool).await.unwrap();
        let source = SqlSource::<Postgres, Row>::new(pool).unwrap();
        Paginator::new(source, Signed::new(&[7; 32]).unwrap())
    });
    let consume = |limit: usize| {
        runtime.block_on(async {
            let mut export = paginator.export(&PageQuery::new()).unwrap();
            let mut lines = 0;
            while let Some(piece) = export.next().await {
                let piece = piece.unwrap();
                lines += piece.iter().filter(|byte| **byte == b'\n').count();
                if lines >= limit {
                    break;
                }
            }
            lines
        })
    };
    // The connection's buffers and the prepared statement are there from the first batches on.
    consume(2_000);
    let before = resident();
    let size = usize::try_from(size()).unwrap();
    let mut lines = 0;
    let peak = peak_bytes(|| lines = consume(usize::MAX));
    assert_eq!(lines, size + size / 1_000 + 1);
    assert!(peak <= LIMIT, "{peak} bytes at once");
    let grown = resident().saturating_sub(before);
    assert!(grown <= LIMIT, "{grown} bytes more in memory");
    println!("{size} rows: {peak} bytes at once, {grown} bytes more in memory");
}

/// What an export of `items`, which are sorted by their number, yields before it fails.
async fn cut_short<T: Clone + Serialize + Send + Sync + 'static>(
    items: Vec<T>,
    number: fn(&T) -> i64,
) -> String {
    let schema = Schema::builder("items")
        .field(Field::new("n", number))
        .key(["n"])
        .build();
    let paginator = Paginator::new(SliceSource::new(schema.unwrap(), items), Plain);
    let pieces: Vec<_> = paginator.export(&PageQuery::new()).unwrap().collect().await;
    let (last, whole) = pieces.split_last().unwrap();
    assert_eq!(last.as_ref().unwrap_err().status(), 500);
    let whole: Vec<_> = whole.iter().map(|piece| piece.as_ref().unwrap()).collect();
    let text: Vec<u8> = whole.into_iter().flatten().copied().collect();
    assert!(!recovery(&text, false).is_complete);
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn half_a_row_is_not_written() {
    #[derive(Clone, Serialize)]
    struct Item {
        n: i64,
        pairs: BTreeMap<(i64, i64), i64>,
    }
    // JSON has no keys but text, which is noticed in the middle of the third row.
    let item = |n| Item {
        n,
        pairs: (3..=n).map(|n| ((n, n), n)).collect(),
    };
    let text = cut_short((1..=4).map(item).collect(), |item| item.n).await;
    let expected = "{\"n\":1,\"pairs\":{}}\n{\"n\":2,\"pairs\":{}}\n\
        {\"$error\":{\"rows\":2,\"transient\":false}}\n";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_row_cannot_pose_as_the_end() {
    let rows = vec![
        json!({ "n": 1 }),
        json!({ "$end": { "rows": 1 } }),
        json!({ "n": 3 }),
    ];
    let text = cut_short(rows, |row| row["n"].as_i64().unwrap_or(2)).await;
    let expected = "{\"n\":1}\n{\"$error\":{\"rows\":1,\"transient\":false}}\n";
    assert_eq!(text, expected);
}

/// A file on a disk that fails.
struct Unplugged;

impl Read for Unplugged {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("unplugged"))
    }
}

#[tokio::test]
async fn an_export_that_cannot_be_read_is_not_one_that_ends_early() {
    for compressed in [false, true] {
        let whole = bytes(export(&paginator(50), compressed)).await;
        for length in [0, whole.len() / 2, whole.len() - 1] {
            let disk = whole[..length].chain(Unplugged);
            let found = if compressed {
                Recovery::read_gzip(disk)
            } else {
                Recovery::read(disk)
            };
            assert_eq!(found.unwrap_err().to_string(), "unplugged", "{length}");
        }
    }
}
