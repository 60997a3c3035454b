use super::{connections, database, execute, ids};
use crate::support::{plane, poll_at_most};
use perf_bulk::{Atomicity, BulkError, BulkInsert};
use perf_testkit::{Database, PostgresServer};
use sqlx::{Connection, PgConnection};

/// How a connection behaves after a call on it was dropped.
#[derive(Debug, PartialEq)]
enum After {
    Clean,
    Closed,
}

/// Asks questions of which each has another answer: a connection out of step gives those of others.
async fn behaviour(connection: &mut PgConnection, observer: &mut PgConnection) -> After {
    let mut answers = Vec::new();
    for question in 1_000..1_006_i32 {
        let answer: Result<i32, _> = sqlx::query_scalar("SELECT $1::int")
            .bind(question)
            .fetch_one(&mut *connection)
            .await;
        if let Ok(answer) = &answer {
            assert_eq!(*answer, question, "out of step");
        }
        answers.push(answer.is_ok());
    }
    if answers.iter().all(|answered| *answered) {
        // A transaction that nobody knows of would keep what follows from everybody else.
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(observer)
        .await
        .unwrap();
        assert_eq!(open, 0, "a transaction was left open");
        return After::Clean;
    }
    assert!(
        answers.iter().all(|answered| !answered),
        "neither clean nor closed: {answers:?}"
    );
    After::Closed
}

async fn fresh(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url_unix()).await.unwrap()
}

#[tokio::test]
async fn an_insert_dropped_at_any_poll_leaves_all_or_nothing_and_no_connection_out_of_step() {
    let database = database();
    let [mut observer, _] = connections(&database).await;
    // How many places there are to stop at depends on how quickly the server answers between polls: a
    // sweep may find none within a COPY.
    for _ in 0..100 {
        if interrupt_everywhere(&database, &mut observer).await > 0 {
            return;
        }
    }
    panic!("no COPY was ever interrupted");
}

/// Drops inserts at every poll and returns how many of them closed their connection.
async fn interrupt_everywhere(database: &Database, observer: &mut PgConnection) -> u32 {
    let mut closed = 0;
    // COPY, VALUES, and several chunks of which one fails.
    for (rows, chunk_rows) in [(3_000, 1_000), (10, 10), (3_000, 1_100)] {
        for polls in 0.. {
            let mut connection = fresh(database).await;
            let insert = BulkInsert::into("planes").chunk_rows(chunk_rows);
            let input = (0..rows).map(|id| {
                plane(if (chunk_rows, id) == (1_100, 2_500) {
                    1
                } else {
                    id
                })
            });
            let outcome = poll_at_most(insert.execute(&mut connection, input), polls).await;
            let after = behaviour(&mut connection, observer).await;
            let stored = ids(observer).await.len();
            closed += u32::from(after == After::Closed);
            match &outcome {
                Some(Ok(report)) => {
                    assert_eq!((report.written, stored), (rows.unsigned_abs(), stored))
                }
                Some(Err(error)) => assert_eq!((error.row(), stored), (Some(2_500), 0)),
                None => assert!(
                    stored == 0 || stored == usize::try_from(rows).unwrap(),
                    "{stored}"
                ),
            }
            execute(observer, "TRUNCATE planes").await;
            if outcome.is_some() {
                assert_eq!(after, After::Clean);
                break;
            }
        }
    }
    closed
}

#[tokio::test]
async fn isolation_dropped_at_any_poll_leaves_no_connection_out_of_step() {
    let database = database();
    let [mut observer, _] = connections(&database).await;
    for polls in 0.. {
        let mut connection = fresh(&database).await;
        let insert = BulkInsert::into("planes")
            .chunk_rows(100)
            .atomicity(Atomicity::BestEffort);
        let input = (0..200).map(|id| plane(if id % 100 == 60 { 1 } else { id }));
        let outcome = poll_at_most(insert.execute(&mut connection, input), polls).await;
        let _after = behaviour(&mut connection, &mut observer).await;
        let stored = ids(&mut observer).await.len();
        assert!(
            [0, 99, 198].contains(&stored),
            "{stored} rows after {polls} polls"
        );
        execute(&mut observer, "TRUNCATE planes").await;
        if let Some(report) = outcome {
            assert_eq!((report.unwrap().failed.len(), stored), (2, 198));
            break;
        }
    }
}

#[tokio::test]
async fn the_callers_transaction_is_spared() {
    let database = database();
    let [mut observer, _] = connections(&database).await;
    for rows in [10, 500] {
        for polls in 0.. {
            let mut connection = fresh(&database).await;
            let mut transaction = Connection::begin(&mut connection).await.unwrap();
            execute(
                &mut transaction,
                "INSERT INTO planes VALUES (100000, 'mine', 1)",
            )
            .await;
            let insert = BulkInsert::into("planes").execute(&mut transaction, (0..rows).map(plane));
            let outcome = poll_at_most(insert, polls).await;
            transaction.commit().await.unwrap();
            let stored = ids(&mut observer).await;
            assert!(stored.contains(&100_000), "after {polls} polls");
            let all = usize::try_from(rows).unwrap() + 1;
            assert!(
                [1, all].contains(&stored.len()),
                "{} rows after {polls} polls",
                stored.len()
            );
            assert_eq!(
                behaviour(&mut connection, &mut observer).await,
                After::Clean
            );
            execute(&mut observer, "TRUNCATE planes").await;
            if outcome.is_some() {
                assert_eq!(stored.len(), all);
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_pool_replaces_what_was_closed() {
    let database = database();
    let [mut observer, _] = connections(&database).await;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect(&database.url_unix())
        .await
        .unwrap();
    for polls in 0..25 {
        let insert = BulkInsert::into("planes").execute(&pool, (0..2_000).map(plane));
        let _outcome = poll_at_most(insert, polls).await;
        let answer: i32 = sqlx::query_scalar("SELECT 42")
            .fetch_one(&pool)
            .await
            .unwrap();
        assert_eq!(answer, 42);
        execute(&mut observer, "TRUNCATE planes").await;
    }
}

#[tokio::test]
async fn a_server_that_dies_midway_is_an_error_and_leaves_nothing() {
    let server = PostgresServer::start().unwrap();
    let database = server.database().unwrap();
    let [mut connection, _] = connections(&database).await;
    let rows = (0..200_000).map(|id| {
        if id == 100_000 {
            server.kill();
        }
        plane(id)
    });
    let error = BulkInsert::into("planes")
        .execute(&mut connection, rows)
        .await
        .unwrap_err();
    assert!(
        matches!(error, BulkError::Database { .. }) && error.is_transient(),
        "{error:?}"
    );
    server.restart().unwrap();
    let mut observer = PgConnection::connect(&database.url()).await.unwrap();
    assert!(ids(&mut observer).await.is_empty());
}

/// Makes the next COMMIT last until it is told that the table of gates is unlocked.
const SLOW_COMMIT: &str = "CREATE TABLE gate (open bool); \
     CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
       $$ BEGIN LOCK TABLE gate; RETURN NULL; END $$; \
     CREATE CONSTRAINT TRIGGER waiting AFTER INSERT ON planes DEFERRABLE INITIALLY DEFERRED \
       FOR EACH ROW EXECUTE FUNCTION wait()";

async fn until_commit_waits(observer: &mut PgConnection) {
    for _ in 0..60_000 {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event_type = 'Lock'",
        )
        .fetch_one(&mut *observer)
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("no COMMIT ever waited");
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_commit_leaves_its_outcome_open_and_is_not_tried_again()
{
    for dies in [false, true] {
        let server = PostgresServer::start().unwrap();
        let database = server.database().unwrap();
        let [mut observer, _] = connections(&database).await;
        execute(&mut observer, SLOW_COMMIT).await;
        let proxy = perf_testkit::FaultProxy::start(server.address()).unwrap();
        let url = database.url_through(proxy.address());
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let mut gate = PgConnection::connect(&database.url()).await.unwrap();
        execute(&mut gate, "BEGIN; LOCK TABLE gate").await;

        let insert = BulkInsert::into("planes").execute(&mut connection, [plane(1), plane(2)]);
        let lose = async {
            until_commit_waits(&mut observer).await;
            if dies {
                server.kill();
            } else {
                proxy.cut();
            }
        };
        let (outcome, ()) = tokio::join!(insert, lose);
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, BulkError::CommitUnknown { .. }),
            "{error:?}"
        );
        assert!(!error.is_transient());
        if dies {
            server.restart().unwrap();
            let mut observer = PgConnection::connect(&database.url()).await.unwrap();
            assert!(ids(&mut observer).await.is_empty());
        } else {
            // The server went on: what looks like a failure was none.
            execute(&mut gate, "COMMIT").await;
            for _ in 0..60_000 {
                if ids(&mut observer).await == [1, 2] {
                    return;
                }
            }
            panic!("the COMMIT never ended");
        }
    }
}
