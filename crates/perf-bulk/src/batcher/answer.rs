//! The answer to one item, and who waits for it.

use crate::error::BatchError;
use parking_lot::Mutex;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Where worker and caller meet: the caller waits, the worker answers once.
pub(super) struct Answer<O, E: Error + 'static> {
    state: Mutex<State<O, E>>,
}

pub(super) type Shared<O, E> = Arc<Answer<O, E>>;

struct State<O, E: Error + 'static> {
    stage: Stage<O, E>,
    waiting: Option<Waker>,
}

enum Stage<O, E: Error + 'static> {
    /// In line for the queue.
    InLine,
    /// In the queue or in flight.
    Taken,
    /// Answered, until the caller has fetched it.
    Answered(Option<Result<O, BatchError<E>>>),
}

impl<O, E: Error> Answer<O, E> {
    pub(super) fn new(taken: bool) -> Shared<O, E> {
        let stage = if taken { Stage::Taken } else { Stage::InLine };
        Arc::new(Self {
            state: Mutex::new(State {
                stage,
                waiting: None,
            }),
        })
    }

    /// Notes that the item has entered the queue.
    pub(super) fn take(&self) {
        self.move_to(Stage::Taken);
    }

    pub(super) fn answer(&self, answer: Result<O, BatchError<E>>) {
        self.move_to(Stage::Answered(Some(answer)));
    }

    /// Lets the caller look again.
    pub(super) fn wake(&self) {
        let waiting = self.state.lock().waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_taken(&self) -> bool {
        !matches!(self.state.lock().stage, Stage::InLine)
    }

    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<O, BatchError<E>>> {
        let mut state = self.state.lock();
        match &mut state.stage {
            Stage::Answered(answer) => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            },
            Stage::InLine | Stage::Taken => state.wait(context),
        }
    }

    /// Ready as soon as the item has been taken.
    pub(super) fn poll_taken(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        match state.stage {
            Stage::InLine => state.wait(context),
            Stage::Taken | Stage::Answered(_) => Poll::Ready(()),
        }
    }

    fn move_to(&self, stage: Stage<O, E>) {
        let waiting = {
            let mut state = self.state.lock();
            state.stage = stage;
            state.waiting.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<O, E: Error> State<O, E> {
    fn wait<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        match &mut self.waiting {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}
