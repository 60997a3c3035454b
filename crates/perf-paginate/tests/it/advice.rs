//! The index that is advised is the one that makes the database seek.

use crate::rows::{self, Row};
use perf_paginate::{Filter, PageQuery, Paginator, Plain, Resource, SqlSource, assert_seek};
use perf_testkit::{MariaDbServer, PostgresServer};
use sqlx::mysql::MySqlPool;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{MySql, Postgres, Sqlite};

/// Requests for which an index exists, and ones whose plain index would not do.
fn queries() -> Vec<PageQuery> {
    let sorted = |sort| PageQuery::new().sort(sort);
    vec![
        PageQuery::new(),
        sorted("a"),
        sorted("-a:nulls_first"),
        sorted("c,-b"),
        sorted("-c,b:nulls_first"),
        sorted("c,-id"),
        sorted("-a").filter(Filter::eq("c", 3_i64)),
        sorted("b")
            .filter(Filter::eq("d", true))
            .filter(Filter::eq("c", 3_i64)),
        sorted("id").filter(Filter::is_null("a")),
    ]
}

#[tokio::test]
async fn sqlite_seeks_with_the_advised_index_and_not_without() {
    let mut helped = 0;
    for query in queries() {
        let pool = rows::table().await;
        for index in ["by_a", "by_b_a", "by_c", "by_c_a_mixed"] {
            let drop = format!("DROP INDEX {index}");
            sqlx::query(sqlx::AssertSqlSafe(drop))
                .execute(&pool)
                .await
                .unwrap();
        }
        let row = |id| Row {
            id,
            a: (id % 3 > 0).then_some(id),
            b: None,
            c: 3,
            d: true,
        };
        rows::fill(&pool, &(0..100).map(row).collect::<Vec<_>>()).await;
        let paginator = Paginator::new(SqlSource::<Sqlite, Row>::new(pool.clone()).unwrap(), Plain);
        let seek = paginator.seek(&query).await.unwrap();
        if !seek.is_sought() {
            assert!(seek.to_string().contains("CREATE INDEX"));
            helped += 1;
            for ddl in seek.advice.ddl {
                sqlx::query(sqlx::AssertSqlSafe(ddl))
                    .execute(&pool)
                    .await
                    .unwrap();
            }
        }
        assert_seek!(paginator, query);
    }
    assert!(helped >= 6, "{helped}");
}

#[tokio::test]
async fn postgres_seeks_with_the_advised_index_and_not_without() {
    let mut helped = 0;
    for query in queries() {
        let database = PostgresServer::shared().unwrap().database().unwrap();
        // What is sorted or scanned then, nothing else can do.
        let off = ["enable_sort", "enable_seqscan", "enable_bitmapscan"].map(|name| (name, "off"));
        let options: PgConnectOptions = database.url_unix().parse().unwrap();
        let pool = PgPool::connect_with(options.options(off)).await.unwrap();
        sqlx::raw_sql(
            r#"CREATE TABLE rows (id BIGINT PRIMARY KEY, a BIGINT, b TEXT COLLATE "C", c BIGINT NOT NULL, d BOOLEAN NOT NULL);
               INSERT INTO rows SELECT id, CASE WHEN id % 10 > 2 THEN id % 1009 END, CASE WHEN id % 7 > 1 THEN 'b' || id % 101 END, id % 97, id % 2 = 0
               FROM generate_series(1::bigint, 20000) AS id;"#,
        )
        .execute(&pool)
        .await
        .unwrap();
        sqlx::raw_sql("VACUUM (ANALYZE) rows")
            .execute(&pool)
            .await
            .unwrap();
        let source = SqlSource::<Postgres, Row>::new(pool.clone()).unwrap();
        let paginator = Paginator::new(source, Plain);
        let seek = paginator.seek(&query).await.unwrap();
        if !seek.is_sought() {
            helped += 1;
            for ddl in seek.advice.ddl {
                sqlx::query(sqlx::AssertSqlSafe(ddl))
                    .execute(&pool)
                    .await
                    .unwrap();
            }
            sqlx::raw_sql("VACUUM (ANALYZE) rows")
                .execute(&pool)
                .await
                .unwrap();
        }
        assert_seek!(paginator, query);
    }
    assert!(helped >= 6, "{helped}");
}

#[tokio::test]
async fn mariadb_seeks_with_the_advised_index_and_not_without() {
    let sorted = |sort| PageQuery::new().sort(sort);
    for (query, caveat) in [
        (sorted("a"), None),
        (sorted("-c,-b"), None),
        (sorted("-a").filter(Filter::eq("c", 3_i64)), None),
        (
            sorted("c,b"),
            Some("no index has the NULLs there; ask for the other placement"),
        ),
        (
            sorted("c,-id"),
            Some("MariaDB 10.11 has lost rows through descending parts of an index"),
        ),
    ] {
        let database = MariaDbServer::shared().unwrap().database().unwrap();
        let pool = MySqlPool::connect(&database.url_unix()).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE `rows` (id BIGINT PRIMARY KEY, a BIGINT, b VARCHAR(20) COLLATE utf8mb4_nopad_bin, c BIGINT NOT NULL, d BOOLEAN NOT NULL);
             INSERT INTO `rows` SELECT seq, NULLIF(seq % 1009, 0), CONCAT('b', seq % 101), seq % 97, seq % 2 FROM seq_1_to_20000;",
        )
        .execute(&pool)
        .await
        .unwrap();
        let source = SqlSource::<MySql, Row>::new(pool.clone()).unwrap();
        let paginator = Paginator::new(source, Plain);
        let seek = paginator.seek(&query).await.unwrap();
        assert!(!seek.is_sought(), "{seek}");
        assert_eq!(seek.advice.caveat, caveat);
        let ddl = sqlx::AssertSqlSafe(seek.advice.ddl.concat());
        sqlx::query(ddl).execute(&pool).await.unwrap();
        sqlx::raw_sql("ANALYZE TABLE `rows`")
            .execute(&pool)
            .await
            .unwrap();
        if caveat.is_none() {
            assert_seek!(paginator, query);
        }
    }
}

#[tokio::test]
async fn an_index_has_what_the_filter_fixes_first() {
    let pool = rows::table().await;
    let source = SqlSource::<Sqlite, Row>::new(pool).unwrap();
    let paginator = Paginator::new(source, Plain);
    let ddl = |query: PageQuery| {
        let request = paginator.check(&query).unwrap();
        paginator.source().advise(&request).ddl
    };
    let query = PageQuery::new().sort("-c,a").filter(Filter::eq("d", true));
    let expected = [
        r#"CREATE INDEX "by_d_c_a_id" ON "rows" ("d", "c" DESC, "a", "id")"#,
        r#"CREATE INDEX "by_d_c_a_id_nulls" ON "rows" ("d", "c" DESC, "a" IS NULL, "a", "id")"#,
    ];
    assert_eq!(ddl(query.clone()), expected);
    assert_eq!(ddl(query.filter(Filter::gte("b", "x"))), expected);
    assert!(Row::schema().is_ok());
}

#[tokio::test]
async fn a_sort_in_one_direction_shares_its_index_and_a_mixed_one_is_read_forward() {
    let pool = rows::table().await;
    let paginator = Paginator::new(SqlSource::<Sqlite, Row>::new(pool).unwrap(), Plain);
    let columns = |sort: &str| {
        let request = paginator.check(&PageQuery::new().sort(sort)).unwrap();
        let ddl = paginator.source().advise(&request).ddl.remove(0);
        let (_, columns) = ddl.split_once(r#" ON "rows" "#).unwrap();
        columns.replace('"', "")
    };
    for (sort, expected) in [
        ("c", "(c, id)"),
        ("-c", "(c, id)"),
        ("-c,-d", "(c, d, id)"),
        ("c,-d", "(c, d DESC, id DESC)"),
        ("-c,d", "(c DESC, d, id)"),
        ("-c,id", "(c DESC, id)"),
    ] {
        assert_eq!(columns(sort), expected, "{sort}");
    }
}

#[tokio::test]
async fn the_opposite_of_a_sort_seeks_in_its_index() {
    for (sort, opposite) in [
        ("c", "-c"),
        ("-c,id", "c,-id"),
        ("c,-d", "-c,d"),
        ("-c,a", "c,-a:nulls_first"),
    ] {
        let pool = rows::table().await;
        sqlx::raw_sql("DROP INDEX by_c; DROP INDEX by_c_a_mixed")
            .execute(&pool)
            .await
            .unwrap();
        let source = SqlSource::<Sqlite, Row>::new(pool.clone()).unwrap();
        let paginator = Paginator::new(source, Plain);
        let opposite = PageQuery::new().sort(opposite);
        let seek = paginator.seek(&opposite).await.unwrap();
        assert!(!seek.is_sought(), "{seek}");
        let seek = paginator.seek(&PageQuery::new().sort(sort)).await.unwrap();
        for ddl in seek.advice.ddl {
            sqlx::query(sqlx::AssertSqlSafe(ddl))
                .execute(&pool)
                .await
                .unwrap();
        }
        assert_seek!(paginator, opposite);
    }
}
