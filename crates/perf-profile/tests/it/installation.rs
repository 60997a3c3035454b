//! What would blind the profiler is an error at installation. Each set-up has a process of its own,
//! since a process has one global subscriber.

use perf_profile::{ProfileError, Profiler};
use std::process::Command;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

const SET_UP: &str = "PERF_PROFILE_SET_UP";

fn install(set_up: &str) -> Result<(), ProfileError> {
    let profiler = Profiler::builder().build();
    match set_up {
        "none" => {}
        "without the layer" => registry().with(fmt::layer()).init(),
        "alone" => registry().with(profiler.sql_layer()).init(),
        "beside filtered fmt" => {
            registry()
                .with(profiler.sql_layer())
                .with(fmt::layer().with_filter(LevelFilter::INFO))
                .init();
        }
        "global info" => registry()
            .with(EnvFilter::new("info"))
            .with(profiler.sql_layer())
            .init(),
        "global info and queries" => {
            registry()
                .with(EnvFilter::new("info,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        "global warn and queries" => {
            registry()
                .with(EnvFilter::new("warn,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        "global off but queries" => {
            registry()
                .with(EnvFilter::new("off,sqlx::query=debug"))
                .with(profiler.sql_layer())
                .init();
        }
        other => panic!("no set-up {other}"),
    }
    profiler.verify()
}

#[test]
fn verification_tells_what_would_blind_the_profiler() {
    if let Ok(set_up) = std::env::var(SET_UP) {
        println!("verdict {:?}", install(&set_up));
        return;
    }
    let cases = [
        ("none", "Err(LayerNotInstalled)"),
        ("without the layer", "Err(LayerNotInstalled)"),
        ("alone", "Ok(())"),
        ("beside filtered fmt", "Ok(())"),
        ("global info", "Err(QueryEventsDisabled)"),
        ("global info and queries", "Ok(())"),
        ("global warn and queries", "Ok(())"),
        ("global off but queries", "Err(QueryEventsDisabled)"),
    ];
    for (set_up, expected) in cases {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "--nocapture",
            "installation::verification_tells_what_would_blind_the_profiler",
        ]);
        let output = child.env(SET_UP, set_up).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.contains(&format!("verdict {expected}")),
            "{set_up}: {output}"
        );
    }
}
