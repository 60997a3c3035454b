//! The answer to one key, and who waits for it.

use crate::error::LoadError;
use parking_lot::Mutex;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What a caller gets: a value, the knowledge that there is none, or an error.
pub(crate) type Answer<V, E> = Result<Option<V>, LoadError<E>>;

/// A key's entry as queue, batch, callers and cache share it.
pub(super) type Shared<V, E> = Arc<Entry<V, E>>;

pub(super) struct Entry<V, E: Error + 'static> {
    state: Mutex<State<V, E>>,
}

struct State<V, E: Error + 'static> {
    answer: Option<Answer<V, E>>,
    waiting: Vec<Waker>,
}

impl<V: Clone, E: Error> Entry<V, E> {
    pub(super) fn unanswered() -> Shared<V, E> {
        Self::with(None)
    }

    pub(super) fn answered(value: V) -> Shared<V, E> {
        Self::with(Some(Ok(Some(value))))
    }

    fn with(answer: Option<Answer<V, E>>) -> Shared<V, E> {
        Arc::new(Self {
            state: Mutex::new(State {
                answer,
                waiting: Vec::new(),
            }),
        })
    }

    /// The answer, or a place among those who are woken by it. `place` is the caller's own, `None` at
    /// its first poll.
    pub(super) fn poll(
        &self,
        context: &Context<'_>,
        place: &mut Option<usize>,
    ) -> Poll<Answer<V, E>> {
        let mut state = self.state.lock();
        if let Some(answer) = &state.answer {
            return Poll::Ready(answer.clone());
        }
        match place {
            Some(place) => state.waiting[*place].clone_from(context.waker()),
            None => {
                *place = Some(state.waiting.len());
                state.waiting.push(context.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Answers, and wakes everyone who waits.
    pub(super) fn answer(&self, answer: Answer<V, E>) {
        let waiting = {
            let mut state = self.state.lock();
            state.answer = Some(answer);
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether the answer is an error, which no cache should keep.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state.lock().answer, Some(Err(_)))
    }
}
