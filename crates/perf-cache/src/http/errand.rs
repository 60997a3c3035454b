use super::body::ResponseBody;
use http::{Request, Response};
use http_body::Body;
use parking_lot::Mutex;

/// What a client's request and the load that may be made of it leave for each other.
///
/// The load is a task that may outlive the client, and it may never be run, where another client's is
/// under way: then the request is still here and can be sent after all.
pub(super) struct Errand<R, B: Body, E>(Mutex<State<R, B, E>>);

struct State<R, B: Body, E> {
    request: Option<Request<R>>,
    outcome: Option<Outcome<B, E>>,
    has_led: bool,
}

/// What the service answered.
pub(super) type Outcome<B, E> = Result<Response<ResponseBody<B>>, E>;

impl<R, B: Body, E> Errand<R, B, E> {
    pub(super) const fn new(request: Request<R>) -> Self {
        Self(Mutex::new(State {
            request: Some(request),
            outcome: None,
            has_led: false,
        }))
    }

    /// The request, for the load.
    pub(super) fn lead(&self) -> Option<Request<R>> {
        let mut state = self.0.lock();
        state.has_led = true;
        state.request.take()
    }

    /// The request, for a call that is this client's alone.
    pub(super) fn request(&self) -> Option<Request<R>> {
        self.0.lock().request.take()
    }

    /// Whether the load was of this request.
    pub(super) fn has_led(&self) -> bool {
        self.0.lock().has_led
    }

    /// Leaves an answer that is this client's alone.
    pub(super) fn leave(&self, outcome: Outcome<B, E>) {
        self.0.lock().outcome = Some(outcome);
    }

    /// The answer that is this client's alone.
    pub(super) fn outcome(&self) -> Option<Outcome<B, E>> {
        self.0.lock().outcome.take()
    }
}
