//! Has a route become slower since the baseline was taken?
//!
//! `cargo run --example profile_regression`

use axum::Router;
use axum::routing::get;
use perfkit::core::{Clock, SystemClock};
use perfkit::profile::{
    Baseline, BaselineStore, FileBaselines, HttpTarget, LoadReport, LoadTest, Stages, Verdict,
};
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves one route that takes so long, and returns its URL.
async fn serve(work: Duration) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/flights", listener.local_addr()?);
    let flights = move || async move {
        SystemClock.sleep(work).await;
        "[]"
    };
    let router = Router::new().route("/flights", get(flights));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Ten runs, since one alone says nothing about chance.
async fn measure(url: &str) -> anyhow::Result<Vec<LoadReport>> {
    let target = HttpTarget::get(url.parse()?)?;
    let stages = Stages::at(200.0).hold(Duration::from_millis(250));
    let test = LoadTest::open(&stages)?.warm_up(Duration::from_millis(50));
    let mut reports = Vec::new();
    for _ in 0..10 {
        reports.push(test.run(target.clone()).await?);
    }
    Ok(reports)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = FileBaselines::new(folder.path());

    let released = measure(&serve(Duration::from_millis(4)).await?).await?;
    println!("the released version\n{}", released[0]);
    store
        .save(&Baseline::from_reports("main", &released))
        .await?;

    let changed = measure(&serve(Duration::from_millis(12)).await?).await?;
    println!("the changed version\n{}", changed[0]);
    let current = Baseline::from_reports("branch", &changed);
    let comparison = store.load("main").await?.compare(&current, 0.05);
    println!("{comparison}");

    // In a pipeline this is where the build fails.
    anyhow::ensure!(comparison.verdict() == Verdict::Regressed);
    Ok(())
}
