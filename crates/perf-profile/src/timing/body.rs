use crate::RequestScope;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A response's body, which is part of the request until it has ended.
    #[derive(Debug)]
    pub struct TimedBody<B> {
        #[pin]
        body: B,
        scope: Option<RequestScope>,
    }
}

impl<B: Body> TimedBody<B> {
    pub(super) fn new(body: B, scope: Option<RequestScope>) -> Self {
        let scope = scope.filter(|_| !body.is_end_stream());
        Self { body, scope }
    }
}

impl<B: Body> Body for TimedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = match this.scope {
            Some(scope) => scope.in_scope(|| this.body.as_mut().poll_frame(context)),
            None => this.body.as_mut().poll_frame(context),
        };
        // A body of known length is not polled again after its last frame.
        let last = matches!(frame, Poll::Ready(None | Some(Err(_)))) || this.body.is_end_stream();
        if last {
            *this.scope = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
