use indicatif::{ProgressBar, ProgressStyle};
use std::future::Future;
use std::time::Duration;

/// Shows on standard error how much of `total` has passed while `work` goes on; nothing where that is no
/// terminal.
pub(crate) async fn during<T>(title: &str, total: Duration, work: impl Future<Output = T>) -> T {
    let bar = ProgressBar::new(total.as_secs().max(1));
    let style = ProgressStyle::with_template("{msg} {wide_bar} {elapsed} of {len} s");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(title.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut work = std::pin::pin!(work);
    seconds.tick().await;
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = seconds.tick() => bar.inc(1),
        }
    }
}
