//! Dead letters: one suite over every sink, and what a file survives.

use perf_bulk::{
    BulkError, DeadLetter, DeadLetterSink, LetterId, MemoryDeadLetters, NdjsonDeadLetters,
    PostgresDeadLetters, RedisDeadLetters, SqliteDeadLetters, replay,
};
use perf_testkit::RedisServer;
use serde_json::{Value, json};
use sqlx::{PgPool, SqlitePool};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn letter(payload: &Value) -> DeadLetter {
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    DeadLetter::new("flights", payload, "no such plane", 3, at).unwrap()
}

fn payloads() -> Vec<Value> {
    vec![
        json!(null),
        json!("plain \"text\"\n\u{0}é"),
        json!({"id": i64::MAX, "delay": 0.1, "nested": [1, {"a": null}]}),
        json!([u64::MAX, -1]),
    ]
}

async fn read(sink: &dyn DeadLetterSink) -> Vec<Value> {
    let kept = sink.read(None, 1_000).await.unwrap();
    kept.into_iter().map(|kept| kept.letter.payload).collect()
}

/// What every sink owes.
async fn suite(sink: &dyn DeadLetterSink) {
    assert_eq!(
        replay(sink, |_| async { Ok(()) }).await.unwrap().succeeded,
        0
    );
    sink.keep(&[]).await.unwrap();
    let letters: Vec<_> = payloads().iter().map(letter).collect();
    sink.keep(&letters).await.unwrap();
    let kept = sink.read(None, 1_000).await.unwrap();
    let back: Vec<_> = kept.iter().map(|kept| kept.letter.clone()).collect();
    assert_eq!(back, letters, "in full and in order");
    assert!(kept.is_sorted_by_key(|kept| kept.id));

    let page = sink.read(Some(kept[0].id), 2).await.unwrap();
    assert_eq!(page, kept[1..3], "after, not from");
    assert!(sink.read(None, 0).await.unwrap().is_empty());

    sink.discard(&[kept[1].id, LetterId(u128::MAX)])
        .await
        .unwrap();
    sink.discard(&[kept[1].id]).await.unwrap();
    sink.discard(&[]).await.unwrap();
    assert_eq!(sink.read(None, 1_000).await.unwrap().len(), 3);

    let many: Vec<_> = (0..250).map(|number| letter(&json!(number))).collect();
    sink.keep(&many).await.unwrap();
    let replayed = replay(sink, |letter| async move {
        match letter.payload.as_u64() {
            Some(number) if number % 2 == 0 => Ok(()),
            _ => Err("odd".into()),
        }
    });
    let replayed = replayed.await.unwrap();
    assert_eq!((replayed.succeeded, replayed.failed), (125, 128));
    let left = read(sink).await;
    assert_eq!(left.len(), 128);
    assert!(
        left.iter()
            .all(|payload| payload.as_u64().is_none_or(|number| number % 2 == 1))
    );
    let replayed = replay(sink, |_| async { Ok(()) }).await.unwrap();
    assert_eq!((replayed.succeeded, replayed.failed), (128, 0));
    assert!(read(sink).await.is_empty());
    sink.keep(&[letter(&json!("again"))]).await.unwrap();
    assert_eq!(read(sink).await, [json!("again")]);
}

#[tokio::test]
async fn memory() {
    suite(&MemoryDeadLetters::new()).await;
}

#[tokio::test]
async fn ndjson() {
    let folder = tempfile::tempdir().unwrap();
    suite(&NdjsonDeadLetters::open(folder.path().join("dead.ndjson")).unwrap()).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite:{}?mode=rwc",
        folder.path().join("dead.db").display()
    );
    let pool = SqlitePool::connect(&url).await.unwrap();
    suite(
        &SqliteDeadLetters::create(pool.clone(), "dead")
            .await
            .unwrap(),
    )
    .await;
    let again = SqliteDeadLetters::create(pool, "dead").await.unwrap();
    assert_eq!(read(&again).await, [json!("again")]);
}

#[tokio::test]
async fn postgres() {
    let database = crate::postgres::database();
    let pool = PgPool::connect(&database.url_unix()).await.unwrap();
    suite(
        &PostgresDeadLetters::create(pool.clone(), "dead")
            .await
            .unwrap(),
    )
    .await;
    let again = PostgresDeadLetters::create(pool, "public.dead")
        .await
        .unwrap();
    assert_eq!(read(&again).await, [json!("again")]);
}

#[tokio::test]
async fn redis() {
    let server = RedisServer::shared().unwrap();
    let stream = format!("{}dead", server.key_prefix());
    suite(&RedisDeadLetters::new(&server.url(), &stream).unwrap()).await;
    let again = RedisDeadLetters::new(&server.url(), &stream).unwrap();
    assert_eq!(read(&again).await, [json!("again")]);
    let wrong = RedisDeadLetters::new("http://x", "dead").unwrap_err();
    assert!(matches!(wrong, BulkError::DeadLetters { .. }) && !wrong.is_transient());
}

#[tokio::test]
async fn a_file_survives_a_restart_and_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.ndjson");
    let sink = NdjsonDeadLetters::open(&path).unwrap();
    sink.keep(&payloads().iter().map(letter).collect::<Vec<_>>())
        .await
        .unwrap();
    let first = sink.read(None, 1).await.unwrap()[0].id;
    sink.discard(&[first]).await.unwrap();
    drop(sink);
    let whole = fs::metadata(&path).unwrap().len();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"id":9,"source":"fli"#).unwrap();

    let sink = NdjsonDeadLetters::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), whole);
    assert_eq!(read(&sink).await, payloads()[1..]);
    sink.keep(&[letter(&json!(5))]).await.unwrap();
    drop(sink);
    let sink = NdjsonDeadLetters::open(&path).unwrap();
    assert_eq!(read(&sink).await.last(), Some(&json!(5)));
    let kept = sink.read(None, 10).await.unwrap();
    assert!(kept.is_sorted_by(|a, b| a.id < b.id), "no id twice");
    let ids: Vec<_> = kept.iter().map(|kept| kept.id).collect();
    sink.discard(&ids).await.unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        0,
        "nothing kept, nothing stored"
    );
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "shopping list\n").unwrap();
    let error = NdjsonDeadLetters::open(&path).unwrap_err();
    assert!(matches!(error, BulkError::DeadLetters { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"shopping list\n");
}

#[tokio::test]
async fn a_replay_that_is_dropped_keeps_what_was_not_done() {
    let sink = Arc::new(MemoryDeadLetters::new());
    sink.keep(&[1, 2, 3].map(|number| letter(&json!(number))))
        .await
        .unwrap();
    let stuck = replay(&*sink, |letter| async move {
        if letter.payload == json!(2) {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    assert!(crate::support::poll_at_most(stuck, 3).await.is_none());
    assert_eq!(read(&*sink).await, [json!(2), json!(3)]);
}

#[tokio::test]
async fn the_rows_that_a_bulk_write_hands_back_can_be_kept() {
    use perf_bulk::{Atomicity, BulkInsert, BulkRow, keep_failed_rows};

    #[derive(BulkRow, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Plane {
        id: i64,
        seats: Option<i64>,
    }
    let mut connection = crate::support::memory().await;
    let planes = (0..10).map(|id| Plane {
        id: id % 8,
        seats: (id != 3).then_some(2),
    });
    let report = BulkInsert::into("planes")
        .atomicity(Atomicity::BestEffort)
        .execute(&mut connection, planes)
        .await
        .unwrap();
    let sink = MemoryDeadLetters::new();
    let kept = keep_failed_rows(&sink, "planes", &report, SystemTime::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!((kept, report.written), (3, 7), "they add up to the input");
    let letters = sink.read(None, 10).await.unwrap();
    let ids = letters
        .iter()
        .map(|kept| kept.letter.payload_as::<Plane>().unwrap().id);
    assert_eq!(ids.collect::<Vec<_>>(), [3, 0, 1]);
    assert!(
        letters[0].letter.error.contains("not-null"),
        "{}",
        letters[0].letter.error
    );
}
