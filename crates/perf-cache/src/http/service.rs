use super::answer::{Origin, answer};
use super::body::ResponseBody;
use super::errand::{Errand, Outcome};
use super::purge::{Core, ResponseCache};
use super::rules::{Asked, Reading};
use super::stored::Kept;
use super::visit::{Visit, forward};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// A service behind a [`ResponseCache`].
///
/// It is always ready: what the cache answers needs nothing of the service, which is waited for when it
/// is called.
#[derive(Clone, Debug)]
pub struct ResponseCacheService<S> {
    core: Arc<Core>,
    service: S,
}

impl<S> Layer<S> for ResponseCache {
    type Service = ResponseCacheService<S>;

    fn layer(&self, service: S) -> Self::Service {
        ResponseCacheService {
            core: Arc::clone(&self.core),
            service,
        }
    }
}

impl<S, R, B> Service<Request<R>> for ResponseCacheService<S>
where
    S: Service<Request<R>, Response = Response<B>, Future: Send, Error: Send>
        + Clone
        + Send
        + 'static,
    R: Send + 'static,
    B: Body<Error: Send> + Send + 'static,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<B, S::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let (core, service) = (&self.core, self.service.clone());
        let (parts, body) = request.into_parts();
        let asked = match core.rules.read(&parts) {
            Reading::Asked(asked) => asked,
            Reading::Bypass => {
                let request = Request::from_parts(parts, body);
                return ResponseFuture::waiting(forward(service, request, Some(Origin::Bypassed)));
            }
            Reading::Change => {
                let request = Request::from_parts(parts, body);
                return ResponseFuture::waiting(change(Arc::clone(core), service, request));
            }
        };
        let request = |parts| Request::from_parts(parts, body);
        match core.find(&asked, &parts) {
            Found::Answer(response) => ResponseFuture::ready(response),
            Found::Refused(origin) => {
                ResponseFuture::waiting(forward(service, request(parts), Some(origin)))
            }
            Found::Nothing => ResponseFuture::waiting(
                Visit {
                    core: Arc::clone(core),
                    service,
                    asked,
                    errand: Arc::new(Errand::new(request(parts.clone()))),
                    parts,
                }
                .respond(),
            ),
        }
    }
}

/// What the near tier has for a request.
enum Found<B: Body> {
    Answer(Response<ResponseBody<B>>),
    /// Something that this client must not or does not want to have.
    Refused(Origin),
    Nothing,
}

impl Core {
    fn find<B: Body>(&self, asked: &Asked, parts: &request::Parts) -> Found<B> {
        let Some(kept) = self.near(asked, &parts.headers) else {
            return Found::Nothing;
        };
        let Kept::Response(stored) = &*kept else {
            return Found::Refused(Origin::Passed);
        };
        let now = self.now();
        if !self.rules.satisfies(stored, asked, &parts.headers, now) {
            return Found::Refused(Origin::Bypassed);
        }
        let is_head = parts.method == Method::HEAD;
        Found::Answer(answer(stored, &parts.headers, is_head, Origin::Hit, now))
    }
}

/// Asks the service for a change and forgets what is kept of its path, unless the service refused.
async fn change<S, R, B>(core: Arc<Core>, service: S, request: Request<R>) -> Outcome<B, S::Error>
where
    S: Service<Request<R>, Response = Response<B>>,
    B: Body,
{
    let path = request.uri().path().to_owned();
    let response = forward(service, request, None).await?;
    let is_refused =
        response.status().is_client_error() || response.status() == StatusCode::NOT_MODIFIED;
    if !is_refused {
        // Where the far tier fails, the near one has forgotten, and the failure is counted.
        drop(core.cache.invalidate_tag(&path).await);
    }
    Ok(response)
}

/// The future of a [`ResponseCacheService`]; ready at the first poll where the near tier answers.
#[must_use = "a call is made when it is awaited"]
pub struct ResponseFuture<B: Body, E>(State<B, E>);

enum State<B: Body, E> {
    Ready(Option<Response<ResponseBody<B>>>),
    Waiting(Pin<Box<dyn Future<Output = Outcome<B, E>> + Send>>),
}

impl<B: Body, E> ResponseFuture<B, E> {
    const fn ready(response: Response<ResponseBody<B>>) -> Self {
        Self(State::Ready(Some(response)))
    }

    fn waiting(outcome: impl Future<Output = Outcome<B, E>> + Send + 'static) -> Self {
        Self(State::Waiting(Box::pin(outcome)))
    }
}

/// What is boxed may move, and so may a response.
impl<B: Body, E> Unpin for ResponseFuture<B, E> {}

impl<B: Body, E> Future for ResponseFuture<B, E> {
    type Output = Outcome<B, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(response) => {
                let response = response.take();
                Poll::Ready(Ok(
                    response.expect("a future is not polled after it has ended")
                ))
            }
            State::Waiting(outcome) => outcome.as_mut().poll(context),
        }
    }
}

impl<B: Body, E> fmt::Debug for ResponseFuture<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("is_ready", &matches!(self.0, State::Ready(_)))
            .finish()
    }
}
