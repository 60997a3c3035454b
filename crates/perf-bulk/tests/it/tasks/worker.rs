//! What a worker does with tasks that succeed, fail, hang, panic, recur or are cancelled.

use super::{Double, PATIENCE, Tally, counter, queue, until};
use perf_bulk::{
    BoxError, DeadLetterSink, Enqueue, MemoryDeadLetters, MemoryTasks, Permanent, Schedule,
    TaskError, TaskQueue, TaskStatus, Worker, WorkerBuilder,
};
use perf_core::{Backoff, Clock, Health, Inspect, ManualClock, Registry};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, Semaphore};

fn at_once() -> Backoff {
    Backoff::constant(Duration::ZERO)
}

/// A worker that doubles. 13 always fails, 14 until its third attempt, 15 for good, 77 panics, 88 hangs.
fn doubler(queue: &TaskQueue, runs: &Tally) -> WorkerBuilder {
    let runs = runs.clone();
    let handler = move |Double(number): Double, _job| {
        let run = runs.add(number);
        async move {
            match number {
                13 => Err("unlucky".into()),
                14 if run < 3 => Err("busy".into()),
                15 => Err(Permanent::new("hopeless").into()),
                77 => panic!("seventy-seven"),
                88 => std::future::pending().await,
                _ => Ok(number * 2),
            }
        }
    };
    Worker::builder(queue).handle(handler).retry(at_once())
}

#[tokio::test]
async fn a_task_runs_once_and_its_result_is_kept() {
    let (queue, runs) = (queue(), Tally::default());
    let worker = doubler(&queue, &runs).start().unwrap();
    let task = queue.delay(Double(21)).await.unwrap();
    assert_eq!(task.result().await.unwrap(), 42);
    assert_eq!(task.try_result().await.unwrap(), Some(42));
    assert_eq!(task.status().await.unwrap(), TaskStatus::Succeeded);
    let again = queue.handle::<Double>(task.id());
    assert_eq!(again.result().await.unwrap(), 42);
    assert_eq!(runs.of(21), 1);
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn many_tasks_run_at_the_price_of_few_exchanges() {
    let (queue, runs) = (queue(), Tally::default());
    let worker = doubler(&queue, &runs).concurrency(64);
    let tasks = queue
        .enqueue_many((1_000..2_000).map(Double))
        .await
        .unwrap();
    let worker = worker.start().unwrap();
    for (task, number) in tasks.iter().zip(1_000..) {
        assert_eq!(task.result().await.unwrap(), number * 2);
        assert_eq!(runs.of(number), 1);
    }
    let exchanges = counter(&worker, "exchanges");
    assert!(exchanges <= 100, "{exchanges} exchanges for 1,000 tasks");
    assert_eq!(counter(&worker, "succeeded"), 1_000);
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_failed_task_is_tried_again_until_it_is_dead() {
    let (queue, runs) = (queue(), Tally::default());
    let sink = Arc::new(MemoryDeadLetters::new());
    let worker = doubler(&queue, &runs)
        .dead_letters(Arc::clone(&sink) as Arc<dyn DeadLetterSink>)
        .start()
        .unwrap();
    let fourteen = queue.delay(Double(14)).await.unwrap();
    assert_eq!(fourteen.result().await.unwrap(), 28);
    assert_eq!(runs.of(14), 3);
    assert_eq!(fourteen.record().await.unwrap().attempts, 3);

    let unlucky = Enqueue::new(Double(13)).max_attempts(4);
    let error = queue
        .enqueue(unlucky)
        .await
        .unwrap()
        .result()
        .await
        .unwrap_err();
    let TaskError::Dead {
        attempts,
        error,
        id,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((attempts, error.as_str(), runs.of(13)), (4, "unlucky", 4));
    assert_eq!(queue.dead(10).await.unwrap(), [id]);

    let hopeless = queue.delay(Double(15)).await.unwrap();
    hopeless.result().await.unwrap_err();
    assert_eq!(runs.of(15), 1, "a permanent error is final");

    let letters = sink.read(None, 10).await.unwrap();
    let kept: Vec<_> = letters
        .iter()
        .map(|kept| {
            (
                kept.letter.payload_as::<Double>().unwrap().0,
                kept.letter.attempts,
            )
        })
        .collect();
    assert_eq!(kept, [(13, 4), (15, 1)]);
    assert_eq!(letters[1].letter.source, "double");

    queue.counts().await.unwrap();
    assert!(matches!(queue.health(), Health::Degraded(_)));
    assert!(queue.revive(hopeless.id()).await.unwrap());
    hopeless.result().await.unwrap_err();
    assert_eq!(runs.of(15), 2);
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_panic_and_a_time_limit_end_their_run_only() {
    let (queue, runs) = (queue(), Tally::default());
    let worker = doubler(&queue, &runs).start().unwrap();
    let panics = Enqueue::new(Double(77)).max_attempts(2);
    let panics = queue.enqueue(panics).await.unwrap();
    let hangs = Enqueue::new(Double(88)).max_attempts(2);
    let hangs = hangs.time_limit(Duration::from_millis(3));
    let hangs = queue.enqueue(hangs).await.unwrap();
    let error = panics.result().await.unwrap_err().to_string();
    assert!(
        error.ends_with("after 2 attempts: it panicked: seventy-seven"),
        "{error}"
    );
    let error = hangs.result().await.unwrap_err().to_string();
    assert!(error.ends_with("it took longer than 3ms"), "{error}");
    assert_eq!((runs.of(77), runs.of(88)), (2, 2));
    assert_eq!(
        (counter(&worker, "panicked"), counter(&worker, "timed_out")),
        (2, 2)
    );
    let fine = queue.delay(Double(1)).await.unwrap();
    assert_eq!(fine.result().await.unwrap(), 2);
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_task_without_a_handler_waits_for_a_worker_that_has_one() {
    let queue = queue();
    let worker = Worker::builder(&queue).retry(at_once()).start().unwrap();
    let task = queue.delay(Double(1)).await.unwrap();
    until(async || counter(&worker, "retried") > 0).await;
    worker.drain(PATIENCE).await.unwrap();
    let worker = doubler(&queue, &Tally::default()).start().unwrap();
    assert_eq!(task.result().await.unwrap(), 2);
    drop(worker);
}

#[tokio::test]
async fn a_scheduled_task_runs_when_it_is_due() {
    let clock = ManualClock::new();
    let queue = TaskQueue::builder(MemoryTasks::new())
        .clock(Arc::new(clock.clone()))
        .build();
    let runs = Tally::default();
    let worker = doubler(&queue, &runs).start().unwrap();
    let time = clock.wall() + Duration::from_secs(100);
    let task = queue.schedule_at(Double(1), time).await.unwrap();
    for _ in 0..99 {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(
        (runs.of(1), task.status().await.unwrap()),
        (0, TaskStatus::Scheduled)
    );
    until(async || {
        clock.advance(Duration::from_secs(1));
        task.status().await.unwrap() == TaskStatus::Succeeded
    })
    .await;
    assert_eq!(runs.of(1), 1);
    drop(worker);
}

#[tokio::test]
async fn a_recurring_task_runs_once_each_time_however_many_workers_there_are() {
    let clock = ManualClock::new();
    let queue = TaskQueue::builder(MemoryTasks::new())
        .clock(Arc::new(clock.clone()))
        .build();
    let runs = Tally::default();
    let schedule = Schedule::every(Duration::from_secs(60)).unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            doubler(&queue, &runs)
                .recurring("minutely", schedule.clone(), || Double(5))
                .start()
                .unwrap()
        })
        .collect();
    for minute in 1..=10 {
        until(async || queue.counts().await.unwrap().scheduled == 1).await;
        assert_eq!(runs.of(5), minute - 1);
        clock.advance(Duration::from_secs(60));
        until(async || {
            clock.advance(Duration::from_millis(1));
            runs.of(5) == minute
        })
        .await;
    }
    drop(workers);
}

#[test]
fn schedules_give_the_next_time_and_never_the_same() {
    let cron = |expression| Schedule::cron(expression).unwrap();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let cases = [
        (cron("*/5 * * * *"), 299, 300),
        (cron("*/5 * * * *"), 300, 600),
        (cron("30 * * * * *"), 31, 90),
        (cron("0 0 1 1 *"), 1, 365 * 86_400),
    ];
    for (schedule, after, next) in cases {
        assert_eq!(schedule.next_after(at(after)), Some(at(next)));
    }
    for wrong in ["", "* * *", "61 * * * *"] {
        assert!(
            matches!(Schedule::cron(wrong), Err(TaskError::Config(_))),
            "{wrong}"
        );
    }
    assert!(Schedule::every(Duration::ZERO).is_err());
}

#[tokio::test]
async fn a_cancelled_task_is_stopped_and_its_report_refused() {
    let queue = queue();
    let (started, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (begun, blocked) = (Arc::clone(&started), Arc::clone(&gate));
    let worker = Worker::builder(&queue)
        .handle(move |_: Double, _job| {
            let (begun, blocked) = (Arc::clone(&begun), Arc::clone(&blocked));
            async move {
                begun.notify_one();
                blocked.acquire().await?.forget();
                Ok::<_, BoxError>(1)
            }
        })
        .lease(Duration::from_millis(30))
        .start()
        .unwrap();
    let task = queue.delay(Double(1)).await.unwrap();
    started.notified().await;
    assert!(task.cancel().await.unwrap());
    assert!(matches!(task.result().await, Err(TaskError::Cancelled(_))));
    until(async || counter(&worker, "leases_lost") == 1).await;

    let second = queue.delay(Double(2)).await.unwrap();
    started.notified().await;
    assert!(second.cancel().await.unwrap());
    gate.add_permits(1);
    // Stopped by the renewal, or refused when it reported first.
    until(async || counter(&worker, "leases_lost") + counter(&worker, "reports_refused") == 2)
        .await;
    assert_eq!(second.status().await.unwrap(), TaskStatus::Cancelled);
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_long_run_keeps_its_lease() {
    let clock = ManualClock::new();
    let queue = TaskQueue::builder(MemoryTasks::new())
        .clock(Arc::new(clock.clone()))
        .build();
    let runs = Tally::default();
    let gate = Arc::new(Semaphore::new(0));
    let (tally, blocked) = (runs.clone(), Arc::clone(&gate));
    let slow = Worker::builder(&queue)
        .handle(move |Double(number): Double, _job| {
            let run = tally.add(number);
            let blocked = Arc::clone(&blocked);
            async move {
                blocked.acquire().await?.forget();
                Ok::<_, BoxError>(run)
            }
        })
        .lease(Duration::from_secs(3))
        .start()
        .unwrap();
    let task = queue.delay(Double(1)).await.unwrap();
    until(async || runs.of(1) == 1).await;
    let other = doubler(&queue, &runs)
        .poll_every(Duration::from_millis(100))
        .start()
        .unwrap();
    // Five leases long.
    for _ in 0..150 {
        clock.advance(Duration::from_millis(100));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    gate.add_permits(1);
    assert_eq!(task.result().await.unwrap(), 1, "the first run's result");
    assert_eq!(runs.of(1), 1);
    assert_eq!(counter(&other, "leases_expired"), 0);
    drop((slow, other));
}

#[tokio::test]
async fn settings_without_end_are_as_long_as_time() {
    let (queue, runs) = (queue(), Tally::default());
    let worker = doubler(&queue, &runs)
        .lease(Duration::MAX)
        .poll_every(Duration::MAX)
        .retry(Backoff::constant(Duration::MAX))
        .start()
        .unwrap();
    let task = Enqueue::new(Double(21)).time_limit(Duration::MAX);
    let task = queue.enqueue(task).await.unwrap();
    until(async || task.try_result().await.unwrap() == Some(42)).await;
    let failed = queue.delay(Double(13)).await.unwrap();
    until(async || failed.status().await.unwrap() == TaskStatus::Scheduled).await;
    worker.drain(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn draining_waits_for_runs_and_gives_the_rest_back() {
    let (queue, runs) = (queue(), Tally::default());
    let worker = doubler(&queue, &runs).concurrency(2).start().unwrap();
    let stuck = queue.delay(Double(88)).await.unwrap();
    until(async || runs.of(88) == 1).await;
    let done = queue.delay(Double(1)).await.unwrap();
    done.result().await.unwrap();
    worker.drain(Duration::from_millis(20)).await.unwrap();
    let record = stuck.record().await.unwrap();
    assert_eq!(
        (record.status, record.attempts),
        (TaskStatus::Waiting, 0),
        "given back"
    );
    let later = queue.delay(Double(2)).await.unwrap();
    assert_eq!(later.status().await.unwrap(), TaskStatus::Waiting);

    let worker = doubler(&queue, &runs).start().unwrap();
    later.result().await.unwrap();
    drop(worker);
    until(async || stuck.status().await.unwrap() == TaskStatus::Waiting).await;
}

#[tokio::test]
async fn what_nobody_asks_for_is_deleted_when_it_succeeds() {
    let queue = TaskQueue::builder(MemoryTasks::new())
        .retention(Duration::ZERO)
        .build();
    let worker = doubler(&queue, &Tally::default()).start().unwrap();
    let task = queue.delay(Double(1)).await.unwrap();
    let gone = task.result().await;
    assert!(
        matches!(gone, Err(TaskError::Unknown(id)) if id == task.id()),
        "{gone:?}"
    );
    assert_eq!(
        queue.counts().await.unwrap(),
        perf_bulk::tasks::Counts::default()
    );
    drop(worker);
}

#[tokio::test]
async fn queue_and_worker_show_their_figures() {
    let (queue, runs, registry) = (queue(), Tally::default(), Registry::new());
    let worker = doubler(&queue, &runs).name("w").start().unwrap();
    queue.register(&registry);
    worker.register(&registry);
    let keyed = || Enqueue::new(Double(1)).key("one");
    let task = queue.enqueue(keyed()).await.unwrap();
    assert_eq!(queue.enqueue(keyed()).await.unwrap().id(), task.id());
    task.result().await.unwrap();
    queue.counts().await.unwrap();
    assert_eq!(
        (counter(&queue, "enqueued"), counter(&queue, "known_keys")),
        (1, 1)
    );
    assert_eq!(counter(&worker, "claimed"), 1);
    let kinds: Vec<_> = registry
        .inspect()
        .iter()
        .map(|part| (part.kind, part.name.clone()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("task_queue", "default".to_owned()),
            ("task_worker", "w".to_owned())
        ]
    );
    drop(worker);
}

#[tokio::test]
async fn a_worker_that_makes_no_sense_is_refused() {
    let (queue, runs) = (queue(), Tally::default());
    let builders = [
        doubler(&queue, &runs).concurrency(0),
        doubler(&queue, &runs).lease(Duration::ZERO),
        doubler(&queue, &runs).poll_every(Duration::ZERO),
        doubler(&queue, &runs).handle(|_: Double, _job| async { Ok(1) }),
    ];
    for builder in builders {
        assert!(matches!(builder.start(), Err(TaskError::Config(_))));
    }
    let outside = std::thread::spawn(move || doubler(&queue, &runs).start().map(drop));
    assert!(matches!(outside.join().unwrap(), Err(TaskError::Config(_))));
}
