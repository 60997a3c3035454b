//! Figures as they change, as server-sent events.

use super::Shared;
use super::stats::Stats;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How many may watch at a time.
const VIEWERS: usize = 64;

/// Who watches, and whether it is over.
pub(super) struct Live {
    seats: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

/// One viewer's stream.
struct Viewer {
    shared: Arc<Shared>,
    closed: watch::Receiver<bool>,
    is_first: bool,
    _seat: OwnedSemaphorePermit,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(VIEWERS)),
            closed: watch::Sender::new(false),
        }
    }

    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }
}

/// Takes a reading at each refresh, as a viewer would, until it is over.
pub(super) async fn record(shared: &Shared) {
    let mut closed = shared.live.closed.subscribe();
    loop {
        let _newest = shared.newest();
        tokio::select! {
            () = shared.clock.sleep(shared.refresh) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

pub(super) fn watch(shared: Arc<Shared>) -> Response {
    let seat = Arc::clone(&shared.live.seats).try_acquire_owned();
    let closed = shared.live.closed.subscribe();
    let (Ok(seat), false) = (seat, *closed.borrow()) else {
        let retry = [(header::RETRY_AFTER, "5")];
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            retry,
            "nobody else can watch",
        )
            .into_response();
    };
    let viewer = Viewer {
        shared,
        closed,
        is_first: true,
        _seat: seat,
    };
    let events = stream::unfold(viewer, |mut viewer| async {
        let event = viewer.next().await?;
        Some((Ok::<_, Infallible>(event), viewer))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

impl Viewer {
    async fn next(&mut self) -> Option<String> {
        if !self.is_first {
            let pause = self.shared.clock.sleep(self.shared.refresh);
            tokio::select! {
                () = pause => {}
                _ = self.closed.wait_for(|closed| *closed) => return None,
            }
        }
        let newest = self.shared.newest();
        if !self.is_first {
            return Some(format!("data: {newest}\n\n"));
        }
        self.is_first = false;
        let before = self.shared.trail.lock().json();
        Some(format!(
            "event: history\ndata: {before}\n\ndata: {newest}\n\n"
        ))
    }
}

impl Shared {
    /// A reading that is less than half a refresh old, shared by all who watch.
    fn newest(&self) -> Arc<str> {
        let now = self.clock.now();
        let mut newest = self.newest.lock();
        if let Some((at, json)) = &*newest
            && now.since(*at) < self.refresh / 2
        {
            return Arc::clone(json);
        }
        let stats = Stats::read(self);
        let point = self.trail.lock().add(stats.figures(), self.refresh);
        let json: Arc<str> = stats.told(point).into();
        *newest = Some((now, Arc::clone(&json)));
        json
    }
}
