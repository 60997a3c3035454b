//! Stopping, and starting again on the same file.

use crate::client::{ask, get};
use crate::instance::{Instance, data};
use hyper::Method;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    jobs: Vec<String>,
    delays: HashMap<u64, u64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_outlives_the_process() {
    let folder = data();
    let data = folder.path().to_str().unwrap();
    let url = format!("sqlite://{data}/flights.db?mode=rwc");
    let arguments = [
        ["--data", data],
        ["--database-url", &url],
        ["--concurrency", "1"],
        ["--rate-limit", "1000000/second"],
    ]
    .concat();
    let instance = Instance::start(&arguments);
    let at = instance.address;
    let acknowledged = Arc::<Mutex<Acknowledged>>::default();
    let clients: Vec<_> = (1..=8_u64)
        .map(|client| {
            let acknowledged = Arc::clone(&acknowledged);
            tokio::spawn(async move {
                for round in 1.. {
                    let job = ask(at, Method::POST, "/jobs").json("{\"carrier\": \"UA\"}");
                    let Ok(job) = job.send().await else { return };
                    if job.status == 202 {
                        let place = job.header("location").to_owned();
                        acknowledged.lock().unwrap().jobs.push(place);
                    }
                    let change = format!("{{\"dep_delay\": {round}}}");
                    let change = ask(at, Method::PATCH, &format!("/flights/{client}")).json(change);
                    let Ok(change) = change.send().await else {
                        return;
                    };
                    if change.status == 200 {
                        acknowledged.lock().unwrap().delays.insert(client, round);
                    }
                }
            })
        })
        .collect();
    while acknowledged.lock().unwrap().jobs.len() < 100 {
        tokio::task::yield_now().await;
    }
    assert!(instance.stop().await.success());
    for client in clients {
        client.await.unwrap();
    }

    let instance = Instance::start(&arguments);
    let acknowledged = Arc::into_inner(acknowledged).unwrap().into_inner().unwrap();
    for (flight, delay) in &acknowledged.delays {
        let flight = get(instance.address, &format!("/flights/{flight}"));
        let found = flight.answer().await.expect(200).json()["flight"]["dep_delay"].as_u64();
        // A later change may have been made without its answer having arrived.
        assert!(found >= Some(*delay), "{found:?} after {delay}");
    }
    let mut left = acknowledged.jobs.len();
    for job in &acknowledged.jobs {
        loop {
            let state =
                get(instance.address, job).answer().await.expect(200).json()["state"].clone();
            match state.as_str().unwrap() {
                "done" => break,
                "waiting" | "running" => tokio::task::yield_now().await,
                other => panic!("{job} is {other}"),
            }
        }
        left -= 1;
    }
    assert_eq!(left, 0);
    println!(
        "{} jobs and {} writes",
        acknowledged.jobs.len(),
        acknowledged.delays.len()
    );
}
