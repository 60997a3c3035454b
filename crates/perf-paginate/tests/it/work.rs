//! What a page costs, counted and not timed: buffers, rows read, steps of a virtual machine.

use crate::counters::{buffers, reads};
use crate::rows::Row;
use perf_paginate::{
    CountMode, Cursor, Filter, Nulls, PageQuery, PageSource, Paginator, Plain, SortKey, SqlSource,
};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::PgPool;
use sqlx::{MySql, Postgres};

/// Rows of the large tables: a million in a soak.
fn size() -> u64 {
    if std::env::var_os("PERF_SOAK_CASES").is_some() {
        1_000_000
    } else {
        60_000
    }
}

/// Every shape of sort that the tables have an index for, and the most segments of its walk.
fn sorts() -> Vec<(Vec<SortKey>, u64)> {
    let (up, down) = (SortKey::ascending, SortKey::descending);
    vec![
        (vec![], 1),
        (vec![up("a")], 2),
        (vec![down("a")], 2),
        (vec![up("a").nulls(Nulls::First)], 2),
        (vec![down("a").nulls(Nulls::First)], 2),
        (vec![up("c"), up("b")], 3),
        (vec![up("c"), down("id")], 2),
        (vec![down("c"), up("id")], 2),
    ]
}

/// The same, and two groups of half the table.
fn sorts_of_postgres() -> Vec<(Vec<SortKey>, u64)> {
    let (up, down) = (SortKey::ascending, SortKey::descending);
    let mut sorts = sorts();
    sorts.extend([
        (vec![up("d"), up("a")], 3),
        (vec![up("d"), down("a")], 3),
        (vec![down("d"), up("a")], 3),
    ]);
    sorts
}

/// The same, but with NULLs behind another key where the index has them: MariaDB sorts all rows otherwise.
fn sorts_of_mariadb() -> Vec<(Vec<SortKey>, u64)> {
    let (up, down) = (SortKey::ascending, SortKey::descending);
    let mut sorts = sorts();
    sorts[5] = (vec![up("c"), up("b").nulls(Nulls::First)], 3);
    sorts.push((vec![down("c"), down("b")], 3));
    sorts
}

/// A cursor nine tenths into the walk, reached by offset so that nothing has to be walked.
async fn deep<S: PageSource<Item = Row>>(paginator: &Paginator<S>, query: &PageQuery) -> Cursor {
    let jump = query.clone().offset(size() / 10 * 9).count(CountMode::None);
    paginator.page(&jump).await.unwrap().info.next.unwrap()
}

fn paginator<S: PageSource<Item = Row>>(source: S) -> Paginator<S> {
    let limits = perf_paginate::Limits {
        max_offset: u64::MAX,
        ..Default::default()
    };
    Paginator::new(source, Plain).with_limits(limits)
}

/// The table, its rows placed in some order, each with so many bytes that nothing sorts by.
async fn postgres(placed: &str, pad: u32) -> PgPool {
    let database = PostgresServer::shared().unwrap().database().unwrap();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    let fill = format!(
        r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL, pad TEXT NOT NULL);
           INSERT INTO rows
           SELECT id, CASE WHEN mixed % 10 > 2 THEN mixed / 4 END, 'b' || mixed % 7, mixed / 5, id % 2 = 0, repeat('x', {pad})
           FROM (SELECT id, id * 7919 % {size} AS mixed FROM generate_series(1::bigint, {size}) AS id) AS source
           ORDER BY {placed};"#,
        size = size(),
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await
        .unwrap();
    sqlx::raw_sql("VACUUM (ANALYZE) rows")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

/// Buffers from the root of an index to its leaf, at a million rows.
const DESCENT: u64 = 4;

#[tokio::test]
async fn postgres_reads_a_buffer_a_row_at_any_depth() {
    // Neighbours in an index share no block, by which one stretch would cost less than another.
    let pool = postgres("md5(id::text)", 200).await;
    let paginator = paginator(SqlSource::<Postgres, Row>::new(pool.clone()).unwrap());
    for (sort, segments) in sorts_of_postgres() {
        let query = PageQuery::new().sort_by(sort.clone());
        let advice = paginator.source().advise(&paginator.check(&query).unwrap());
        indexed(&pool, advice.ddl).await;
        let deep = query.clone().cursor(deep(&paginator, &query).await);
        // A buffer for each row read, and for each stretch a descent and two where it lies across the ends of two blocks.
        let limit = 22 + (DESCENT + 2) * segments;
        let mut costs = Vec::new();
        for query in [&query, &deep] {
            let plans = paginator
                .source()
                .explain(&paginator.check(query).unwrap())
                .await
                .unwrap();
            assert_eq!(plans.len(), 1, "a page is one statement");
            let read = buffers(&plans[0]);
            assert!(
                read <= limit,
                "{read} buffers, {limit} allowed, for {sort:?}: {plans:#?}"
            );
            costs.push(read);
        }
        let [first, deep] = costs[..] else {
            unreachable!("two pages")
        };
        println!("{first} buffers on page one, {deep} at nine tenths, for {sort:?}");
        assert!(
            4 * deep <= 5 * first,
            "{deep} buffers after {first} for {sort:?}"
        );
    }
}

#[tokio::test]
async fn an_offset_page_fetches_only_the_rows_it_shows() {
    let pool = postgres("id", 200).await;
    let paginator = paginator(SqlSource::<Postgres, Row>::new(pool.clone()).unwrap());
    let offset = size() / 2;
    let query = PageQuery::new().sort("a").offset(offset);
    indexed(&pool, vec!["CREATE INDEX of_sort ON rows (a, id)".into()]).await;
    let plans = paginator
        .source()
        .explain(&paginator.check(&query).unwrap())
        .await
        .unwrap();
    // Index entries lie by the hundred in a block; fetched rows would cost a buffer each.
    assert!(buffers(&plans[0]) < offset / 20, "{plans:#?}");
}

/// Leaves the table with these indexes beside its key's.
async fn indexed(pool: &PgPool, ddl: Vec<String>) {
    let others: Vec<(String,)> = sqlx::query_as(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'rows'::regclass AND NOT indisprimary",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let drops = others.iter().map(|(name,)| format!("DROP INDEX {name}"));
    let statements: Vec<String> = drops.chain(ddl).collect();
    let replaced = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.join(";"))).execute(pool);
    replaced.await.unwrap();
}

/// Blocks of a table that one block of its visibility map tells of. Where rows lie anywhere among more, counting goes back
/// and forth between such blocks, and each time is a buffer, though the same few are read.
const BLOCKS_OF_A_MAP: i64 = 32_672;

#[tokio::test]
async fn a_capped_count_reads_no_further_than_its_cap() {
    capped_count("id", 200).await;
}

#[tokio::test]
async fn a_capped_count_reads_as_little_wherever_the_rows_lie() {
    capped_count("md5(id::text)", 150).await;
}

async fn capped_count(placed: &str, pad: u32) {
    let pool = postgres(placed, pad).await;
    let (blocks,): (i64,) = sqlx::query_as("SELECT pg_relation_size('rows') / 8192")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(
        placed == "id" || blocks < BLOCKS_OF_A_MAP,
        "{blocks} blocks"
    );
    let paginator = paginator(SqlSource::<Postgres, Row>::new(pool.clone()).unwrap());
    let query = PageQuery::new()
        .filter(Filter::gte("id", 0_i64))
        .count(CountMode::Capped(10_000));
    let page = paginator.page(&query).await.unwrap();
    assert_eq!(page.total, perf_paginate::Total::AtLeast(10_000));
    let plan: Vec<(String,)> = sqlx::query_as(
        "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) SELECT COUNT(*) FROM (SELECT 1 FROM rows WHERE id >= 0 LIMIT 10001) AS counted",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let plan: Vec<String> = plan.into_iter().map(|(line,)| line).collect();
    let read = buffers(&plan.join("\n"));
    println!("{read} buffers for a count up to 10,000, rows placed by {placed}, {blocks} blocks");
    assert!(read <= 50, "{plan:#?}");
}

async fn mariadb() -> MySqlPool {
    let database = MariaDbServer::shared().unwrap().database().unwrap();
    // One connection, because its counters are a session's.
    let options = MySqlPoolOptions::new().max_connections(1);
    let pool = options.connect(&database.url_unix()).await.unwrap();
    let fill = format!(
        "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) COLLATE utf8mb4_nopad_bin, c BIGINT NOT NULL, d BOOLEAN NOT NULL, pad TEXT NOT NULL,
                              KEY (a, id), KEY (c, b, id), KEY (c, id DESC));
         INSERT INTO `rows`
         SELECT seq, IF(seq * 7919 % {size} % 10 > 2, seq * 7919 % {size} DIV 4, NULL), CONCAT('b', seq * 7919 % {size} % 7), seq * 7919 % {size} DIV 5, seq % 2, REPEAT('x', 200)
         FROM seq_1_to_{size};
         ANALYZE TABLE `rows`;",
        size = size(),
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill))
        .execute(&pool)
        .await
        .unwrap();
    pool
}

#[tokio::test]
async fn mariadb_reads_as_many_entries_at_any_depth() {
    let pool = mariadb().await;
    let paginator = paginator(SqlSource::<MySql, Row>::new(pool.clone()).unwrap());
    for (sort, segments) in sorts_of_mariadb() {
        let query = PageQuery::new().sort_by(sort.clone());
        let deep = query.clone().cursor(deep(&paginator, &query).await);
        for query in [&query, &deep] {
            let before = reads(&pool).await;
            let page = paginator.page(query).await.unwrap();
            assert_eq!(page.items.len(), 20);
            let read = reads(&pool).await - before;
            let limit = (2 * 21 + 10) * segments;
            assert!(read <= limit, "{read} reads, {limit} allowed, for {sort:?}");
        }
    }
}
