//! One instance on SQLite.

use crate::client::{ask, get};
use crate::instance::{FLIGHTS, Instance, data};
use flate2::read::MultiGzDecoder;
use hyper::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use tempfile::TempDir;

/// An instance on a file of its own, with what else it is told.
fn start(arguments: &[&str]) -> (Instance, TempDir) {
    let folder = data();
    let data = folder.path().to_str().unwrap();
    let mut all = [&["--data", data], arguments].concat();
    if !all.contains(&"--rate-limit") {
        all.extend(["--rate-limit", "1000000/second"]);
    }
    (Instance::start(&all), folder)
}

async fn json(address: SocketAddr, path: &str) -> Value {
    get(address, path).answer().await.expect(200).json()
}

#[tokio::test]
async fn a_walk_over_pages_sees_each_flight_once_with_what_belongs_to_it() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    let filtered = "/flights?sort=-dep_delay&filter[origin][in]=JFK,EWR&size=100";
    let (mut next, mut ids, mut delays) = (filtered.to_owned(), BTreeSet::new(), Vec::new());
    loop {
        let page = json(at, &next).await;
        for item in page["items"].as_array().unwrap() {
            assert!(item["airline"]["name"].is_string(), "{item}");
            assert_ne!(item["flight"]["origin"], "LGA");
            assert!(ids.insert(item["flight"]["id"].as_i64()), "twice: {item}");
            delays.push(item["flight"]["dep_delay"].as_i64());
        }
        match page["page_info"]["next"].as_str() {
            Some(cursor) => next = format!("{filtered}&cursor={cursor}"),
            None => break,
        }
    }
    assert!(
        delays.is_sorted_by(|a, b| a >= b),
        "unknown delays are last"
    );
    let lga = json(at, "/flights?filter[origin]=LGA&size=1&page=1").await;
    assert!(lga["page_info"]["has_next"].as_bool().unwrap());
    assert!((FLIGHTS / 2..FLIGHTS).contains(&ids.len()), "{}", ids.len());

    let refused = get(at, "/flights?sort=tailnum").answer().await.expect(400);
    assert_eq!(refused.json()["detail"], "there is no field \"tailnum\"");
    get(at, "/flights?cursor=made-up")
        .answer()
        .await
        .expect(400);
    let naive = json(at, "/naive/flights?page=3").await;
    let ours = json(at, "/flights?page=4&size=100").await;
    assert_eq!(naive["items"], ours["items"]);
}

#[tokio::test]
async fn a_kept_answer_is_tagged_and_forgotten_with_the_change() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    let first = get(at, "/flights/7").answer().await.expect(200);
    let tag = first.header("etag").to_owned();
    let flight = first.json();
    assert_eq!(flight["flight"]["id"], 7);
    for part in ["airline", "plane", "origin", "destination"] {
        assert!(flight[part].is_object(), "no {part} in {flight}");
    }
    let again = get(at, "/flights/7").header("if-none-match", &tag);
    let again = again.answer().await.expect(304);
    assert!(again.body.is_empty());
    let figures = json(at, "/carriers").await;

    let change = |body: &str| ask(at, Method::PATCH, "/flights/7").json(body);
    change("{\"dep_delay\": 5000}").answer().await.expect(200);
    let changed = get(at, "/flights/7").header("if-none-match", &tag);
    let changed = changed.answer().await.expect(200);
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(changed.json()["flight"]["dep_delay"], 5_000);
    let worst = |figures: &Value| {
        let carrier = &flight["flight"]["carrier"];
        let mut all = figures.as_array().unwrap().iter();
        all.find(|one| one["carrier"] == *carrier).unwrap()["worst_delay"].clone()
    };
    assert_ne!(worst(&figures), 5_000);
    let figures = json(at, "/carriers").await;
    assert_eq!(worst(&figures), 5_000);
    assert_eq!(figures, json(at, "/naive/carriers").await);

    get(at, "/flights/999999").answer().await.expect(404);
    change("{\"id\": 1}").answer().await.expect(422);
    ask(at, Method::PATCH, "/flights/999999")
        .json("{\"dep_delay\": 1}")
        .answer()
        .await
        .expect(404);
}

#[tokio::test]
async fn a_kept_page_is_forgotten_with_any_change() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    let path = "/flights?sort=-dep_delay&size=3";
    let page = async || get(at, path).answer().await.expect(200);
    let first = page().await;
    assert!(first.header("cache-status").contains("stored"));
    assert!(first.header("link").contains("rel=\"next\""));
    let again = page().await;
    assert!(again.header("cache-status").contains("hit"));
    assert_eq!(
        (&again.body, again.header("link")),
        (&first.body, first.header("link"))
    );
    let change = ask(at, Method::PATCH, "/flights/9").json("{\"dep_delay\": 9000}");
    change.answer().await.expect(200);
    let changed = page().await;
    assert!(!changed.header("cache-status").contains("hit"));
    let delay = |answer: &Value| answer["items"][0]["flight"]["dep_delay"].clone();
    assert_eq!(delay(&changed.json()), 9_000);
    let import = ask(at, Method::PUT, "/imports/late").json(lines(0..1).replace(":3,", ":9001,"));
    import.answer().await.expect(200);
    assert_eq!(delay(&page().await.json()), 9_001);
    let (fresh, _data) = start(&["--set", "cache.enabled=false"]);
    let page = get(fresh.address, path).answer().await.expect(200);
    assert_eq!(page.header("cache-status"), "", "nothing is to be kept");
}

#[tokio::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let (instance, _data) = start(&[]);
    let packed = |path: &str| get(instance.address, path).header("accept-encoding", "gzip");
    let page = packed("/flights?size=100").answer().await.expect(200);
    assert_eq!(page.header("content-encoding"), "gzip");
    let mut text = String::new();
    MultiGzDecoder::new(&page.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.len() > 4 * page.body.len(),
        "{} of {}",
        page.body.len(),
        text.len()
    );
    let ping = packed("/ping").answer().await.expect(200);
    assert_eq!(
        (ping.header("content-encoding"), &ping.body[..]),
        ("", &b"pong"[..])
    );
    let export = packed("/export/flights.ndjson.gz")
        .answer()
        .await
        .expect(200);
    assert_eq!(export.header("content-encoding"), "", "packed twice");
}

#[tokio::test]
async fn an_export_has_every_flight_and_says_so() {
    let (instance, _data) = start(&[]);
    let export = get(instance.address, "/export/flights.ndjson.gz?sort=-distance");
    let export = export.answer().await.expect(200);
    let mut text = String::new();
    MultiGzDecoder::new(&export.body[..])
        .read_to_string(&mut text)
        .unwrap();
    let (last, lines) = text
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(last, lines)| (*last, lines.to_vec()))
        .unwrap();
    assert_eq!(last, format!("{{\"$end\":{{\"rows\":{FLIGHTS}}}}}"));
    let rows = lines.iter().filter(|line| !line.starts_with("{\"$"));
    assert_eq!(rows.count(), FLIGHTS);
}

/// Lines of an import.
pub(crate) fn lines(rows: std::ops::Range<usize>) -> String {
    let line = |flight| {
        json!({ "month": 1, "day": 31, "sched_dep_time": 1200, "dep_delay": 3, "carrier": "UA", "flight": flight,
            "tailnum": null, "origin": "EWR", "dest": "IAH", "distance": 1400, "time_hour": "2013-01-31T17:00:00Z" })
        .to_string()
            + "\n"
    };
    rows.map(line).collect()
}

async fn flights_of_united(at: SocketAddr) -> i64 {
    let figures = json(at, "/carriers").await;
    let mut all = figures.as_array().unwrap().iter();
    let united = all.find(|one| one["carrier"] == "UA").unwrap();
    united["flights"].as_i64().unwrap()
}

#[tokio::test]
async fn an_import_is_written_once_or_not_at_all() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    let import =
        |name: &str, body: String| ask(at, Method::PUT, &format!("/imports/{name}")).json(body);
    let before = flights_of_united(at).await;
    get(at, "/imports/january").answer().await.expect(404);
    for _repeated in 0..2 {
        let done = import("january", lines(0..1_500))
            .answer()
            .await
            .expect(200);
        assert_eq!(done.json(), json!({ "state": "done", "rows": 1_500 }));
    }
    assert_eq!(json(at, "/imports/january").await["rows"], 1_500);
    assert_eq!(flights_of_united(at).await, before + 1_500);

    let bad = lines(0..700) + "{\"month\": \"January\"}\n" + &lines(0..700);
    let refused = import("february", bad).answer().await.expect(422);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("line 701: invalid type: string \"January\""),
        "{detail}"
    );
    get(at, "/imports/february").answer().await.expect(404);
    assert_eq!(flights_of_united(at).await, before + 1_500);
}

#[tokio::test]
async fn a_job_is_done_once_for_each_key() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    let submit = |key: &str| {
        let submit = ask(at, Method::POST, "/jobs").json("{\"carrier\": \"UA\"}");
        submit.header("idempotency-key", key)
    };
    let accepted = submit("one").answer().await.expect(202);
    let place = accepted.header("location").to_owned();
    assert_eq!(
        submit("one").answer().await.expect(202).header("location"),
        place
    );
    assert_ne!(
        submit("other")
            .answer()
            .await
            .expect(202)
            .header("location"),
        place
    );
    let done = loop {
        let job = json(at, &place).await;
        match job["state"].as_str().unwrap() {
            "done" => break job,
            "waiting" | "running" => tokio::task::yield_now().await,
            _ => panic!("{job}"),
        }
    };
    assert_eq!(done["result"]["flights"], flights_of_united(at).await);
    assert!(done["result"]["p95"].as_i64() > done["result"]["median"].as_i64());
    get(at, "/jobs/none").answer().await.expect(404);
}

#[tokio::test]
async fn each_client_has_its_own_limit() {
    let (instance, _data) = start(&["--rate-limit", "1/minute burst 3"]);
    let ping = |key: &str| get(instance.address, "/ping").header("x-api-key", key);
    for _ in 0..3 {
        ping("one").answer().await.expect(200);
    }
    let denied = ping("one").answer().await.expect(429);
    let wait: u64 = denied.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    ping("other").answer().await.expect(200);
    get(instance.address, "/ping").answer().await.expect(200);
}

#[tokio::test]
async fn an_upstream_that_fails_now_and_then_is_not_noticed() {
    let (instance, _data) = start(&["--upstream-failures", "0.2"]);
    for id in 1..=60 {
        let gate = json(instance.address, &format!("/flights/{id}/gate")).await;
        assert_eq!(gate["flight"], id);
    }
}

#[tokio::test]
async fn an_upstream_that_is_down_is_left_alone() {
    let (instance, _data) = start(&["--upstream-failures", "1"]);
    let mut waits = Vec::new();
    for id in 1..=20 {
        let gate = get(instance.address, &format!("/flights/{id}/gate"));
        let refused = gate.answer().await.expect(503);
        waits.push(refused.header("retry-after").parse::<u64>().unwrap());
    }
    assert!(waits.iter().all(|wait| *wait >= 1), "{waits:?}");
}

#[tokio::test]
async fn the_service_tells_how_it_is_doing() {
    let (instance, _data) = start(&[]);
    let at = instance.address;
    for _ in 0..3 {
        json(at, "/carriers").await;
        json(at, "/naive/flights").await;
    }
    let health = json(at, "/health/performance").await;
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["objectives"][0]["monitor"], "clients");
    let metrics = get(at, "/metrics").answer().await.expect(200);
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    for part in [
        "responses",
        "pages",
        "flights",
        "upstream",
        "jobs",
        "airlines",
        "clients",
    ] {
        assert!(
            metrics.contains(&format!("\"{part}\"")),
            "{part} is not in {metrics}"
        );
    }
    let stats = get(at, "/performance/stats").answer().await.expect(200);
    let stats = String::from_utf8(stats.body.to_vec()).unwrap();
    assert!(stats.contains("GET /carriers"), "{stats}");
    let found = stats.contains("N+1") || stats.contains("n_plus_one");
    assert!(found && stats.contains("GET /naive/flights"), "{stats}");
    let page = get(at, "/performance").answer().await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
}
