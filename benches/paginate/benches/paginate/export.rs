//! Everything as lines of JSON beside one statement whose rows are written as the same lines.

use crate::table::{self, Event, RUNTIME, URL};
use criterion::Criterion;
use futures_util::TryStreamExt as _;
use perf_paginate::{PageQuery, Paginator, SqlSource};
use sqlx::Postgres;
use sqlx::postgres::PgPool;
use std::time::{Duration, Instant};

/// Enough for a median.
const ROUNDS: usize = 5;

pub(crate) fn all(_: &mut Criterion) {
    let (ours, peer, ratio) = RUNTIME.block_on(async {
        // The next batch is asked for before the last one's connection is back.
        let pool = PgPool::connect(&URL).await.expect("the server is up");
        let source = SqlSource::new(pool.clone()).expect("a sound declaration");
        let paginator = table::paginator(source);
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            // They take turns in going first.
            let (ours, peer) = if round % 2 == 0 {
                (exported(&paginator).await, fetched(&pool).await)
            } else {
                let peer = fetched(&pool).await;
                (exported(&paginator).await, peer)
            };
            rounds.push((ours.as_secs_f64(), peer.as_secs_f64()));
        }
        rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (ours, peer) = rounds[ROUNDS / 2];
        (ours, peer, ours / peer)
    });
    assert!(ratio.is_finite());
    harness::record(
        "paginate/export/1m_postgres/raw_sqlx_fetch",
        ours,
        peer,
        "s",
    );
}

async fn exported(paginator: &Paginator<SqlSource<Postgres, Event>>) -> Duration {
    let start = Instant::now();
    let export = paginator.export(&PageQuery::new()).expect("a sound query");
    let lines = export.try_fold(0, async |lines, piece| {
        // A checkpoint is one line more for each thousand rows.
        Ok(lines + memchr::memchr_iter(b'\n', &piece).count())
    });
    let lines = lines.await.expect("an export");
    let rows = usize::try_from(table::rows()).expect("positive");
    assert_eq!(lines, rows + rows / 1_000 + 1);
    start.elapsed()
}

async fn fetched(pool: &PgPool) -> Duration {
    let start = Instant::now();
    let rows = sqlx::query_as::<_, Event>("SELECT id, kind, day, note FROM events ORDER BY id");
    let mut rows = rows.fetch(pool);
    let mut lines = Vec::new();
    let mut count = 0;
    while let Some(event) = rows.try_next().await.expect("rows") {
        // Sent off as the export's pieces are.
        if count % 1_000 == 0 {
            lines.clear();
        }
        serde_json::to_writer(&mut lines, &event).expect("JSON");
        lines.push(b'\n');
        count += 1;
    }
    assert_eq!(count, table::rows());
    start.elapsed()
}
