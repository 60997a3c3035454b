//! What the database reads for a page, as its plans count it: no clock is involved.

use crate::sea;
use crate::table::{self, Event, RUNTIME, URL};
use criterion::Criterion;
use perf_paginate::{CountMode, PageQuery, Paginator, SqlSource};
use sea_orm::{ConnectionTrait, Database, Statement};
use sqlx::Postgres;

type Events = Paginator<SqlSource<Postgres, Event>>;

/// Twenty rows after nine tenths of the table, beside the peer's page after the same row.
pub(crate) fn three_columns(_: &mut Criterion) {
    let (ours, peer) = RUNTIME.block_on(async {
        let paginator = paginator().await;
        let (deep, row) = deep(&paginator).await;
        let ours = plan(&paginator, &deep).await;
        (examined(&ours), examined(&plan_of_peer(&row).await))
    });
    harness::record(
        "paginate/rows_examined/three_columns_postgres/sea_orm",
        ours,
        peer,
        "rows",
    );
}

/// A page at nine tenths of the table beside the first.
pub(crate) fn depth(_: &mut Criterion) {
    let (deep, first) = RUNTIME.block_on(async {
        let paginator = paginator().await;
        let (deep, _) = deep(&paginator).await;
        let first = plan(&paginator, &query()).await;
        (buffers(&plan(&paginator, &deep).await), buffers(&first))
    });
    harness::record(
        "paginate/depth/row_900k_postgres/page_one",
        deep,
        first,
        "buffers",
    );
}

async fn paginator() -> Events {
    let source = SqlSource::new(table::pool().await).expect("a sound declaration");
    table::paginator(source)
}

fn query() -> PageQuery {
    PageQuery::new().sort("kind,day")
}

/// The query that continues at nine tenths, and the row before it.
async fn deep(paginator: &Events) -> (PageQuery, Event) {
    let offset = u64::try_from(table::rows() / 10 * 9).expect("positive");
    let jump = query().offset(offset - 20).count(CountMode::None);
    let page = paginator.page(&jump).await.expect("a page");
    let next = page.info.next.expect("a tenth follows");
    (query().cursor(next), page.items[19].clone())
}

async fn plan(paginator: &Events, query: &PageQuery) -> String {
    let page = paginator.page(query).await.expect("a page");
    assert_eq!(page.items.len(), 20);
    let request = paginator.check(query).expect("a sound query");
    let plans = paginator.source().explain(&request).await;
    plans.expect("a plan").join("\n")
}

async fn plan_of_peer(row: &Event) -> String {
    let after = (row.kind, row.day, row.id);
    let statement = sea::page_after(&sea::Recorder::default(), after).await;
    let connection = Database::connect(&*URL).await.expect("the server is up");
    let explained = Statement {
        sql: format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {}", statement.sql),
        ..statement
    };
    let lines = connection.query_all_raw(explained).await.expect("a plan");
    let lines = lines.iter().map(|line| line.try_get_by_index(0));
    let lines: Vec<String> = lines.collect::<Result<_, _>>().expect("text");
    lines.join("\n")
}

/// Rows that scans read: those they returned and those they threw away.
fn examined(plan: &str) -> f64 {
    let number = |text: &str| -> f64 {
        let digits = text.split(|letter: char| !letter.is_ascii_digit());
        digits
            .into_iter()
            .next()
            .unwrap_or_default()
            .parse()
            .expect("digits")
    };
    let mut examined = 0.0;
    for line in plan.lines() {
        if let (true, Some((_, actual))) = (line.contains("Scan"), line.split_once("(actual rows="))
        {
            examined += number(actual);
        }
        if let Some((_, removed)) = line.split_once("Rows Removed by Filter: ") {
            examined += number(removed);
        }
    }
    assert!(examined >= 20.0, "{plan}");
    examined
}

/// The plan's own sum, that of its first line, of buffers that were read. Those written to make room are not counted.
fn buffers(plan: &str) -> f64 {
    let (_, shared) = plan.split_once("Buffers: shared").expect("buffers");
    let shared = shared.lines().next().unwrap_or_default();
    let counts = shared.split_whitespace().filter_map(|word| {
        let count = word.strip_prefix("hit=");
        count.or_else(|| word.strip_prefix("read="))
    });
    counts
        .map(|count| count.parse::<f64>().expect("a number"))
        .sum()
}
