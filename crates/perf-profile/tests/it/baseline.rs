//! Baselines kept and compared.

use perf_profile::{
    Baseline, BaselineStore, Better, FileBaselines, LoadTest, MemoryBaselines, ProfileError,
    Stages, Verdict,
};
use std::convert::Infallible;
use std::time::Duration;

fn baseline(name: &str, level: f64) -> Baseline {
    let samples: Vec<_> = (0..10)
        .map(|run| level * (1.0 + f64::from(run) / 1_000.0))
        .collect();
    Baseline::new(name)
        .metric("seconds", Better::Lower, samples)
        .unwrap()
}

async fn keeps_what_it_is_given(store: &dyn BaselineStore) {
    let not_found = ProfileError::BaselineNotFound {
        name: "main".into(),
    };
    assert_eq!(store.load("main").await, Err(not_found));
    for level in [1.0, 2.0] {
        store.save(&baseline("main", level)).await.unwrap();
        assert_eq!(store.load("main").await.unwrap(), baseline("main", level));
    }
}

#[tokio::test]
async fn stores_keep_what_they_are_given() {
    keeps_what_it_is_given(&MemoryBaselines::new()).await;
    let folder = tempfile::tempdir().unwrap();
    keeps_what_it_is_given(&FileBaselines::new(folder.path().join("new"))).await;
}

#[tokio::test]
async fn a_name_cannot_leave_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileBaselines::new(folder.path().join("baselines"));
    for name in [
        "",
        ".",
        "..",
        "../main",
        "/tmp/main",
        "a/b",
        ".hidden",
        "nul\0",
    ] {
        let saved = store.save(&baseline(name, 1.0)).await;
        assert!(
            matches!(saved, Err(ProfileError::BaselineNotSaved { .. })),
            "{name:?}"
        );
        let loaded = store.load(name).await;
        assert!(
            matches!(loaded, Err(ProfileError::BaselineNotFound { .. })),
            "{name:?}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileBaselines::new(folder.path());
    let unreadable = [
        "",
        "{",
        "[]",
        r#"{"schema":1}"#,
        r#"{"schema":1,"name":"main","metrics":{"m":{"better":"lower","samples":[0.0]}}}"#,
    ];
    for text in unreadable {
        std::fs::write(folder.path().join("main.json"), text).unwrap();
        let loaded = store.load("main").await;
        assert!(
            matches!(loaded, Err(ProfileError::BaselineUnreadable { .. })),
            "{text}"
        );
    }
    std::fs::write(
        folder.path().join("main.json"),
        r#"{"schema":7,"then":"unknown"}"#,
    )
    .unwrap();
    let schema = ProfileError::BaselineSchema {
        name: "main".into(),
        found: 7,
    };
    assert_eq!(store.load("main").await, Err(schema));
}

#[test]
fn samples_without_ratio_are_refused() {
    for sample in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = Baseline::new("main").metric("seconds", Better::Lower, [1.0, sample]);
        assert!(
            matches!(refused, Err(ProfileError::InvalidSample { .. })),
            "{sample}"
        );
    }
}

#[test]
fn a_metric_that_is_gone_decides_nothing() {
    let comparison = baseline("main", 1.0).compare(&Baseline::new("branch"), 0.05);
    assert_eq!(comparison.verdict(), Verdict::Inconclusive);
    assert_eq!(comparison.metrics[0].ratio, None);
    assert_eq!(
        Baseline::new("a")
            .compare(&Baseline::new("b"), 0.05)
            .verdict(),
        Verdict::Inconclusive
    );
}

#[test]
fn higher_may_be_better() {
    let rates = |rate: f64| {
        baseline("x", rate)
            .metric("rate", Better::Higher, vec![rate; 9])
            .unwrap()
    };
    let comparison = rates(2.0).compare(&rates(1.0), 0.05);
    let verdicts: Vec<_> = comparison
        .metrics
        .iter()
        .map(|metric| metric.verdict)
        .collect();
    assert_eq!(
        verdicts,
        [Verdict::Regressed, Verdict::Improved],
        "{comparison}"
    );
}

#[tokio::test(start_paused = true)]
async fn load_tests_become_samples() {
    let work = |_number| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(())
    };
    let test = LoadTest::open(&Stages::at(10.0).hold(Duration::from_secs(1))).unwrap();
    let mut reports = Vec::new();
    for _ in 0..8 {
        reports.push(test.run(work).await.unwrap());
    }
    let baseline = Baseline::from_reports("main", &reports);
    let comparison = baseline.compare(&baseline, 0.05);
    let rate = comparison
        .metrics
        .iter()
        .find(|metric| metric.name == "requests_per_second");
    assert_eq!(rate.unwrap().verdict, Verdict::Unchanged);
}
