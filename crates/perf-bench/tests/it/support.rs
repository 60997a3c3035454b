use axum::Router;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a run of the program left.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) error: String,
}

/// Runs the program in `folder`.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perf-bench"));
    command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command
        .env_remove("DATABASE_URL")
        .env_remove("PERF_BENCH_URL");
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Ran {
        code: status.code(),
        output: String::from_utf8(stdout).unwrap(),
        error: String::from_utf8(stderr).unwrap(),
    }
}

/// A server in a thread of its own, which ends with the test's process.
pub(super) fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    url
}

impl Ran {
    /// Expects exit code `code` and one line on standard error that has `text`.
    #[track_caller]
    pub(super) fn fails(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{}", self.error);
        assert!(self.error.contains(text), "{}", self.error);
        assert_eq!(self.error.trim_end().lines().count(), 1, "{}", self.error);
    }

    /// Expects exit code 0, and returns what was printed.
    #[track_caller]
    pub(super) fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}", self.error);
        &self.output
    }
}
