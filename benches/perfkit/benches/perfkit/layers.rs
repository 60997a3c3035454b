//! One route behind one layer, so that it shows what each costs.

use axum::Router;
use axum::extract::MatchedPath;
use axum::http::request::Parts;
use axum::routing::get;
use perfkit::breaker::KeyedLimiter;
use perfkit::breaker::http::{ClientAddress, LimitLayer};
use perfkit::profile::{Profiler, SloMonitor, TimingLayer};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// What axum does by itself.
pub(crate) const BARE: &str = "bare";

/// What is put before the route: a layer that does nothing, which axum boxes as it does each, ours one by one, and what a
/// service would have instead of them.
pub(crate) const KINDS: [&str; 6] = [
    "nothing",
    "timing",
    "judging",
    "limit",
    "compression",
    "others",
];

#[tokio::main]
pub(crate) async fn serve(layers: &str) -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!(
        "listening on http://{}",
        listener.local_addr().expect("bound")
    );
    let router = Router::new().route("/ping", get(async || "pong"));
    let router = put(layers, router);
    let served = if layers == BARE {
        axum::serve(listener, router).await
    } else {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await
    };
    served.expect("it serves");
    ExitCode::SUCCESS
}

fn put(layers: &str, router: Router) -> Router {
    match layers {
        BARE => router,
        "nothing" => router.layer(tower::layer::util::Identity::new()),
        "timing" => router.layer(timing()),
        "judging" => {
            let monitor = SloMonitor::builder("clients").build();
            router.layer(timing().judged_by(&monitor))
        }
        "limit" => {
            let quota = "1000000/second".parse().expect("a quota");
            let limiter = KeyedLimiter::new(&quota, 10_000).expect("some clients");
            let layer = LimitLayer::new(Arc::new(limiter), ClientAddress::of_connect_info());
            router.layer(layer)
        }
        "compression" => router.layer(CompressionLayer::new().gzip(true)),
        "others" => {
            log();
            let quota = GovernorConfigBuilder::default()
                .period(Duration::from_micros(1))
                .burst_size(1_000_000)
                .use_headers()
                .finish()
                .expect("a quota");
            let compression = CompressionLayer::new().gzip(true);
            router.layer((
                TraceLayer::new_for_http(),
                compression,
                GovernorLayer::new(quota),
            ))
        }
        other => panic!("no layers {other}"),
    }
}

fn timing() -> TimingLayer {
    let profiler = Profiler::builder().build();
    let log = fmt::layer().with_writer(io::stderr);
    let log = tracing_subscriber::registry().with(log.with_filter(LevelFilter::WARN));
    profiler.wrap(log).with_spans_on_demand().init();
    TimingLayer::new(&profiler).name_by_route(|head: &Parts| {
        let path = head.extensions.get::<MatchedPath>();
        path.map(MatchedPath::as_str)
    })
}

/// As is usual: spans of requests at level INFO, and little to read.
fn log() {
    let log = fmt::layer().with_writer(io::stderr);
    tracing_subscriber::registry()
        .with(log.with_filter(LevelFilter::INFO))
        .init();
}
