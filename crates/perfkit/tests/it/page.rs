//! The page in a real browser.

use crate::browser::Browser;
use crate::demo::Demo;
use perfkit::breaker::State;
use perfkit::cache::EntryPolicy;
use serde_json::json;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;

/// Where `cargo xtask setup` puts the accessibility rules.
const AXE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../target/axe-core/package/axe.min.js"
);
const TABS: [&str; 5] = ["routes", "queries", "findings", "flames", "parts"];

/// The page of a demo, open.
struct Visit {
    demo: Demo,
    browser: Browser,
}

impl Visit {
    async fn begin(guarded: bool) -> Self {
        Self::after(0, guarded).await
    }

    /// Opens the page of a service that has run for so many seconds, with nobody looking.
    async fn after(seconds: u32, guarded: bool) -> Self {
        let mut demo = Demo::start(guarded);
        let recording = demo.endpoints.clone();
        let mut recording = std::pin::pin!(recording.record());
        for _ in 0..seconds {
            assert!(futures_util::poll!(&mut recording).is_pending());
            demo.second().await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        // Below a prefix, as behind a proxy.
        let app = axum::Router::new().nest("/internal", demo.router());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut browser = Browser::start(1360, 1000).await;
        browser.prefer("light").await;
        browser
            .open(&format!("http://{address}/internal/performance"))
            .await;
        browser
            .wait_for("document.querySelector('#health').dataset.status === 'healthy'")
            .await;
        Self { demo, browser }
    }

    /// Lets so many seconds pass, each seen by the page.
    async fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let before = self.text("#uptime").await;
            self.demo.second().await;
            // The stream sleeps on the demo's clock, and may have begun to only now.
            for look in 1.. {
                if self.text("#uptime").await != before {
                    break;
                }
                if look % 8 == 0 {
                    self.demo.clock.advance(Duration::from_millis(50));
                }
            }
        }
    }

    async fn choose(&mut self, tab: &str) {
        self.browser.click(&format!("#tab-{tab}")).await;
        self.browser
            .wait_for(&format!("!document.querySelector('#panel-{tab}').hidden"))
            .await;
    }

    async fn text(&mut self, selector: &str) -> String {
        let script = format!("document.querySelector({selector:?}).innerText");
        let text = self.browser.evaluate(&script).await;
        text.as_str().expect("text").to_owned()
    }

    /// Fails where the rules of accessibility find something serious in what is shown.
    async fn assert_accessible(&mut self, what: &str) {
        let run = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations\
                   .filter(({ impact }) => impact === 'serious' || impact === 'critical')\
                   .map(({ id, nodes }) => [id, nodes.map(({ html, any }) => [html, any.map(({ message }) => message)])]))";
        let serious = self.browser.evaluate(run).await;
        assert_eq!(serious, json!([]), "{what}");
    }

    /// Writes a picture where `PERFKIT_SCREENSHOTS` says, if it says anything.
    async fn picture(&mut self, name: &str) {
        if let Some(folder) = env::var_os("PERFKIT_SCREENSHOTS") {
            let path = PathBuf::from(folder).join(format!("{name}.png"));
            self.browser.screenshot(&path).await;
        }
    }
}

fn axe() -> String {
    fs::read_to_string(Path::new(AXE)).expect("`cargo xtask setup` fetches axe-core")
}

#[tokio::test]
async fn every_panel_opens_and_is_accessible_by_day_by_night_and_on_a_phone() {
    let mut visit = Visit::begin(true).await;
    visit.browser.evaluate(&axe()).await;
    // Pictures show full charts.
    let seconds = if env::var_os("PERFKIT_SCREENSHOTS").is_some() {
        185
    } else {
        30
    };
    visit.pass(seconds).await;
    for (look, scheme, width, height) in [
        ("light", "light", 1360, 1180),
        ("dark", "dark", 1360, 1180),
        ("phone", "light", 390, 844),
    ] {
        visit.browser.prefer(scheme).await;
        visit.browser.resize(width, height).await;
        for (tab, expected) in [
            ("routes", "GET /carriers/delays"),
            ("queries", "SELECT"),
            ("findings", "N+1 queries: GET /flights/{id}/connections"),
            ("flames", "render"),
            ("parts", "hit rate percent"),
        ] {
            visit.choose(tab).await;
            let shown =
                format!("document.querySelector('#panel-{tab}').innerText.includes({expected:?})");
            visit.browser.wait_for(&shown).await;
            visit.assert_accessible(&format!("{look}, {tab}")).await;
            visit.picture(&format!("{look}-{tab}")).await;
            let scrolls = "document.documentElement.scrollWidth > innerWidth";
            assert_eq!(
                visit.browser.evaluate(scrolls).await,
                json!(false),
                "{look}, {tab} is too wide"
            );
            let cut = "[...document.querySelectorAll('.part')].filter((part) => part.scrollWidth > part.clientWidth)\
                       .map((part) => part.innerText)";
            assert_eq!(
                visit.browser.evaluate(cut).await,
                json!([]),
                "{look}, {tab}"
            );
        }
        let hidden = "document.querySelectorAll('[role=tabpanel]:not([hidden])').length";
        assert_eq!(visit.browser.evaluate(hidden).await, json!(1));
    }
    assert_eq!(visit.browser.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn charts_and_tiles_show_the_last_seconds_and_can_be_scrubbed_by_keys() {
    let mut visit = Visit::begin(false).await;
    visit.pass(12).await;
    let latency = "[data-chart=latency]";
    for key in ["p50", "p95", "p99"] {
        assert!(
            visit
                .text(&format!("{latency} .legend"))
                .await
                .contains(key)
        );
    }
    for chart in ["latency", "throughput", "hits", "pools", "wait"] {
        let told = visit
            .text(&format!("[data-chart={chart}] .legend dd"))
            .await;
        let is_figure = chart == "wait" || told.chars().any(|letter| letter.is_ascii_digit());
        assert!(is_figure, "{chart} says {told}");
        let drawn =
            format!("document.querySelectorAll('[data-chart={chart}] svg path').length > 0");
        visit.browser.wait_for(&drawn).await;
    }
    assert!(
        visit
            .text("[data-tile=throughput] dd")
            .await
            .ends_with("per s")
    );
    assert!(visit.text("[data-tile=pools] dd").await.contains("of 16"));
    visit
        .browser
        .evaluate(&format!(
            "document.querySelector('{latency} .plot').focus()"
        ))
        .await;
    for _ in 0..3 {
        visit.browser.press("ArrowLeft").await;
    }
    let told = format!(
        "document.querySelector('{latency} .plot').getAttribute('aria-valuetext').startsWith('3 s ago: p50 ')"
    );
    visit.browser.wait_for(&told).await;
    visit.browser.press("Escape").await;
    visit
        .browser
        .wait_for(&told.replace("3 s ago", "now"))
        .await;
    visit.browser.click("#pause").await;
    let before = visit.text("#uptime").await;
    visit.demo.second().await;
    assert_eq!(visit.text("#connection").await, "paused");
    assert_eq!(visit.text("#uptime").await, before);
    visit.browser.click("#pause").await;
    let goes_on = format!("document.querySelector('#uptime').innerText !== {before:?}");
    visit.browser.wait_for(&goes_on).await;
    assert_eq!(visit.browser.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn tabs_tables_and_flames_are_worked_by_keys() {
    let mut visit = Visit::begin(false).await;
    let hostile = "<img src=x onerror=alert(1)>";
    visit
        .demo
        .request(hostile, Duration::from_secs(1), "SELECT '<b>'", 1)
        .await;
    visit.pass(3).await;
    visit.choose("routes").await;
    let first = "document.querySelector('#panel-routes tbody th').innerText";
    visit.browser.click("#panel-routes [data-key=name]").await;
    visit
        .browser
        .wait_for(&format!("{first}.trim() === {hostile:?}"))
        .await;
    assert_eq!(
        visit.browser.evaluate("document.images.length").await,
        json!(0)
    );
    visit.browser.press("Enter").await;
    let order = "document.querySelector('#panel-routes th[aria-sort]:not([aria-sort=none])').ariaSort === 'descending'";
    visit.browser.wait_for(order).await;

    visit.browser.click("#tab-routes").await;
    for tab in &TABS[1..4] {
        visit.browser.press("ArrowRight").await;
        visit
            .browser
            .wait_for(&format!("document.activeElement.id === 'tab-{tab}'"))
            .await;
    }
    visit
        .browser
        .wait_for("document.querySelectorAll('.frame').length > 4")
        .await;
    visit
        .browser
        .evaluate("document.querySelector('.frame').focus()")
        .await;
    visit.browser.press("ArrowDown").await;
    let focused = visit
        .browser
        .evaluate("document.activeElement.dataset.path")
        .await;
    assert_eq!(focused, json!("all;handle"));
    visit.browser.press("Enter").await;
    visit
        .browser
        .wait_for("!document.querySelector('#flame-reset').hidden")
        .await;
    visit.browser.press("Escape").await;
    visit
        .browser
        .wait_for("document.querySelector('#flame-reset').hidden")
        .await;
    assert_eq!(visit.browser.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn a_breaker_is_held_open_by_whoever_has_the_token() {
    let mut visit = Visit::begin(true).await;
    visit.pass(1).await;
    let button = "[aria-label='open weather']";
    visit
        .browser
        .wait_for(&format!("document.querySelector(\"{button}\")"))
        .await;
    visit.browser.click(button).await;
    visit
        .browser
        .wait_for("document.querySelector('#acted').innerText.includes('does not let')")
        .await;
    assert_eq!(visit.demo.weather.state(), State::Closed);
    visit
        .browser
        .evaluate("document.querySelector('#token-field').value = '4711'")
        .await;
    visit.browser.click(button).await;
    visit
        .browser
        .wait_for("document.querySelector('#acted').innerText === 'open weather: done'")
        .await;
    assert!(visit.demo.weather.admit().is_err());
    visit.pass(1).await;
    visit
        .browser
        .wait_for("document.querySelector('#health').dataset.status === 'degraded'")
        .await;
    assert!(visit.text("#trouble").await.contains("held open"));
    assert_eq!(visit.text("[data-tile=breakers] dd").await, "1 of 3");
}

#[tokio::test]
async fn a_page_that_is_opened_late_shows_what_was_before() {
    let mut visit = Visit::after(20, false).await;
    let latency = "document.querySelector('[data-chart=latency] .plot')";
    visit.browser.evaluate(&format!("{latency}.focus()")).await;
    for _ in 0..15 {
        visit.browser.press("ArrowLeft").await;
    }
    let told = format!("{latency}.getAttribute('aria-valuetext')");
    let is_there = format!("/^15 s ago: p50 [0-9.]+ ms, /.test({told})");
    visit.browser.wait_for(&is_there).await;
    assert_eq!(visit.browser.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn a_cache_is_cleared_by_tag_and_the_profiler_reset_on_the_page() {
    let mut visit = Visit::begin(true).await;
    let policy = EntryPolicy::new().tag("coast / east");
    let load = async || Ok::<_, std::io::Error>(7);
    let kept = visit.demo.cache.get_or_load_with(1_000_000, policy, load);
    assert_eq!(kept.await.expect("it loads"), 7);
    visit.pass(2).await;
    let type_in = "document.querySelector('#token-field').value = '4711'";
    visit.browser.evaluate(type_in).await;
    let acted = "document.querySelector('#acted').innerText";
    let button = "[aria-label='clear tag airports']";
    visit.browser.click(button).await;
    visit
        .browser
        .wait_for(&format!("{acted} === 'clear tag airports: which?'"))
        .await;
    let type_in =
        "document.querySelector(\"[aria-label='clear tag of airports']\").value = 'coast / east'";
    visit.browser.evaluate(type_in).await;
    visit.browser.click(button).await;
    visit
        .browser
        .wait_for(&format!(
            "{acted} === 'clear tag coast / east airports: done'"
        ))
        .await;
    assert_eq!(visit.demo.cache.get(&1_000_000).await, None);
    visit.browser.click("[aria-label='reset profiler']").await;
    visit
        .browser
        .wait_for(&format!("{acted} === 'reset profiler: done'"))
        .await;
    assert_eq!(visit.browser.complaints, Vec::<String>::new());
}

#[tokio::test]
async fn a_page_whose_service_ends_says_so() {
    let mut visit = Visit::begin(false).await;
    visit.demo.endpoints.close();
    visit
        .browser
        .wait_for("document.querySelector('#connection').innerText.includes('no connection')")
        .await;
}
