use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

pin_project_lite::pin_project! {
    /// One request to a service: waits until the service is ready, then calls it.
    #[must_use = "a request is sent when it is awaited"]
    pub struct Oneshot<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        step: Step<S, R, S::Future>,
    }
}

pin_project_lite::pin_project! {
    #[project = Projected]
    enum Step<S, R, F> {
        Ready { waiting: Option<(S, R)> },
        Called {
            #[pin]
            reply: F,
        },
    }
}

impl<S: Service<R>, R> Oneshot<S, R> {
    pub(super) const fn new(service: S, request: R) -> Self {
        let waiting = Some((service, request));
        Self {
            step: Step::Ready { waiting },
        }
    }
}

impl<S: Service<R>, R> Future for Oneshot<S, R> {
    type Output = Result<S::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            let reply = match step.as_mut().project() {
                Projected::Called { reply } => return reply.poll(context),
                Projected::Ready { waiting } => {
                    let (service, _) = waiting
                        .as_mut()
                        .expect("the request is there until it has been sent");
                    ready!(service.poll_ready(context))?;
                    mem::take(waiting).map(|(mut service, request)| service.call(request))
                }
            };
            if let Some(reply) = reply {
                step.set(Step::Called { reply });
            }
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for Oneshot<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_sent = matches!(self.step, Step::Called { .. });
        f.debug_struct("Oneshot")
            .field("is_sent", &is_sent)
            .finish()
    }
}
