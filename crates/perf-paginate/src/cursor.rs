//! Cursors: positions that leave the process and come back.
//!
//! A token holds the exact values of the order's fields at a page boundary, so the row there may be
//! deleted meanwhile. It is bound to the resource, the order, the filter and the caller's scope by their
//! hashes: with any other it is refused, because its position would mean something else. Hashes are of
//! the checked request, not of its text, so that a list in another order is no mismatch.
//!
//! A [`CursorCodec`] protects the whole: [`Signed`] against forgery, [`Sealed`] against reading too, [`Plain`] not at
//! all.

mod keys;
mod lifetime;
mod plain;
mod sealed;
mod signed;

use crate::error::{Binding, CursorFault, Error};
use crate::order::OrderKey;
use crate::schema::{Layout, first_eight};
use crate::value::Value;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};
use std::fmt;

pub use plain::Plain;
pub use sealed::Sealed;
pub use signed::Signed;

/// An opaque position, as a client holds it: at most 1 KiB of URL-safe text.
///
/// Its `Debug` form leaves the token out, because logs are no place for it.
#[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for Cursor {
    fn from(token: S) -> Self {
        Self(token.into())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} characters)", self.0.len())
    }
}

/// How a token is protected.
pub trait CursorCodec: fmt::Debug + Send + Sync + 'static {
    /// Wraps a payload. The first byte tells versions and codecs apart: its high half is the version, 1,
    /// its low half the codec, 0 to 7 for this crate's own.
    fn seal(&self, payload: &[u8]) -> Vec<u8>;

    /// Unwraps what [`CursorCodec::seal`] wrapped.
    ///
    /// # Errors
    ///
    /// A fault that says nothing about the content.
    fn open(&self, token: &[u8]) -> Result<Vec<u8>, CursorFault>;
}

/// Hashes of what a cursor is bound to, in the order of [`BINDINGS`].
pub(crate) type Bound = [[u8; 8]; 4];

const BINDINGS: [Binding; 4] = [
    Binding::Resource,
    Binding::Sort,
    Binding::Filter,
    Binding::Scope,
];

/// The part of a request's start that a cursor can hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Whether the page ends here instead of starting.
    pub(crate) backward: bool,
    /// The order's values, or the walk's own beginning.
    pub(crate) values: Option<Vec<Value>>,
}

const BACKWARD: u8 = 1;
const AT_ROW: u8 = 2;

/// The hash of one thing that a cursor is bound to.
pub(crate) fn hash(content: &[u8]) -> [u8; 8] {
    first_eight(&Sha256::digest(content))
}

/// The cursor, unless it would take more than `max` characters.
pub(crate) fn write(
    codec: &dyn CursorCodec,
    bound: &Bound,
    place: &Place,
    max: usize,
) -> Option<Cursor> {
    let mut payload = Vec::with_capacity(96);
    let at_row = if place.values.is_some() { AT_ROW } else { 0 };
    payload.push(at_row | if place.backward { BACKWARD } else { 0 });
    bound
        .iter()
        .for_each(|hash| payload.extend_from_slice(hash));
    place
        .values
        .iter()
        .flatten()
        .for_each(|value| value.encode(&mut payload));
    let token = BASE64.encode(codec.seal(&payload));
    (token.len() <= max).then_some(Cursor(token))
}

pub(crate) fn read(
    codec: &dyn CursorCodec,
    bound: &Bound,
    cursor: &Cursor,
    max: usize,
) -> Result<Unbound, Error> {
    if cursor.0.len() > max {
        return Err(CursorFault::Malformed.into());
    }
    let token = BASE64
        .decode(&cursor.0)
        .map_err(|_| CursorFault::Malformed)?;
    let payload = codec.open(&token)?;
    let mut found = payload.get(1..).ok_or(CursorFault::Malformed)?;
    for (expected, binding) in bound.iter().zip(BINDINGS) {
        let (hash, tail) = found
            .split_first_chunk::<8>()
            .ok_or(CursorFault::Malformed)?;
        if hash != expected {
            return Err(Error::CursorMismatch(binding));
        }
        found = tail;
    }
    Ok(Unbound { payload })
}

/// A payload whose bindings fit, its values not yet read.
pub(crate) struct Unbound {
    payload: Vec<u8>,
}

/// The flags, and what a cursor is bound to.
const HEAD: usize = 1 + size_of::<Bound>();

impl Unbound {
    /// Reads the values, each of which must be one that the order's field can hold.
    pub(crate) fn place(&self, layout: &Layout, keys: &[OrderKey]) -> Result<Place, CursorFault> {
        let (head, mut rest) = self
            .payload
            .split_first_chunk::<HEAD>()
            .ok_or(CursorFault::Malformed)?;
        let flags = head[0];
        let at_row = flags & AT_ROW != 0;
        let keys = if at_row { keys } else { &[] };
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let value = Value::decode(&mut rest).ok_or(CursorFault::Malformed)?;
            let fits = match value.kind() {
                None => key.nullable,
                Some(kind) => kind == layout.kind(key.field),
            };
            if !fits {
                return Err(CursorFault::Malformed);
            }
            values.push(value);
        }
        if !rest.is_empty() || flags & !(BACKWARD | AT_ROW) != 0 {
            return Err(CursorFault::Malformed);
        }
        Ok(Place {
            backward: flags & BACKWARD != 0,
            values: at_row.then_some(values),
        })
    }
}
