use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of a response that came through a [`ResponseCache`](super::ResponseCache): bytes that are
/// kept, or the service's own body as it streams.
pub struct ResponseBody<B: Body> {
    /// What was read before it was clear that the body would not be kept.
    ready: VecDeque<Result<Frame<Bytes>, B::Error>>,
    rest: Option<Pin<Box<B>>>,
}

impl<B: Body> ResponseBody<B> {
    /// These bytes and no more.
    pub(super) fn whole(bytes: Bytes) -> Self {
        let frame = (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
        Self {
            ready: frame.into_iter().collect(),
            rest: None,
        }
    }

    /// The service's own.
    pub(super) fn passed(body: B) -> Self {
        Self {
            ready: VecDeque::new(),
            rest: Some(Box::pin(body)),
        }
    }

    /// Reads a body that ends well and has at most `limit` bytes. Of any other, what was read and what is
    /// left.
    pub(super) async fn read(body: B, limit: usize) -> Result<Bytes, Self> {
        let mut reading = Self::passed(body);
        let mut length = 0;
        if is_beyond(reading.size_hint().lower(), limit) {
            return Err(reading);
        }
        loop {
            let frame = poll_fn(|context| reading.poll_rest(context)).await;
            let Some(frame) = frame else {
                return Ok(reading.bytes(length));
            };
            let data = frame.as_ref().ok().and_then(Frame::data_ref);
            let is_sound = data.is_some();
            length += data.map_or(0, Bytes::len);
            reading.ready.push_back(frame);
            if !is_sound || length > limit {
                return Err(reading);
            }
        }
    }

    /// All that was read, of which every frame is data.
    fn bytes(self, length: usize) -> Bytes {
        let mut frames = self.ready.into_iter();
        let mut frames = frames
            .by_ref()
            .flatten()
            .filter_map(|frame| frame.into_data().ok());
        let first = frames.next().unwrap_or_default();
        if first.len() == length {
            return first;
        }
        let mut bytes = BytesMut::with_capacity(length);
        bytes.extend_from_slice(&first);
        frames.for_each(|data| bytes.extend_from_slice(&data));
        bytes.freeze()
    }

    fn poll_rest(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = rest.as_mut().poll_frame(context);
        frame.map_ok(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
    }
}

fn is_beyond(length: u64, limit: usize) -> bool {
    usize::try_from(length).map_or(true, |length| length > limit)
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.ready.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => self.poll_rest(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.rest.as_ref().is_none_or(|rest| rest.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref();
        let mut hint = rest.map_or_else(|| SizeHint::with_exact(0), |rest| rest.size_hint());
        let data = self.ready.iter().flatten().filter_map(Frame::data_ref);
        let ready: u64 = data.map(|data| data.len() as u64).sum();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + ready);
        }
        hint.set_lower(hint.lower() + ready);
        hint
    }
}

/// What is boxed may move.
impl<B: Body> Unpin for ResponseBody<B> {}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("is_kept", &self.rest.is_none())
            .finish_non_exhaustive()
    }
}
