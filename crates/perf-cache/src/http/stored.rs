use super::key::variant;
use crate::fence::Stamp;
use crate::tags::Slots;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::{Duration, SystemTime};

/// What is known of a request.
#[derive(Debug)]
pub(super) enum Kept {
    /// Its response.
    Response(Box<Stored>),
    /// That its responses are not shared: do not wait for each other.
    Pass,
}

/// A response that may be given to others.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// When it came, and how old it was then.
    pub(super) received: SystemTime,
    pub(super) age: Duration,
    pub(super) terms: Terms,
    /// The request headers by which it varies, and what they were.
    pub(super) varies: Box<[HeaderName]>,
    pub(super) variant: String,
    /// Against purges by tags that were not known before it came. None after a way through the far tier,
    /// where those are not kept that need one.
    pub(super) seal: Option<Seal>,
}

/// For how long a response may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) fresh_for: Duration,
    /// Beyond that, while it is fetched anew.
    pub(super) revalidate: Duration,
    /// Beyond that, when it cannot be.
    pub(super) error: Duration,
}

/// When a response was asked for, and its tags.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) stamp: Stamp,
    pub(super) slots: Box<[Slots]>,
}

impl Kept {
    /// The response, whomever it answers.
    pub(super) fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Response(stored) => Some(stored),
            Self::Pass => None,
        }
    }

    /// The response, if it answers a request with these headers.
    pub(super) fn suited(&self, headers: &HeaderMap) -> Option<&Stored> {
        self.stored().filter(|stored| stored.suits(headers))
    }
}

impl Stored {
    pub(super) fn suits(&self, headers: &HeaderMap) -> bool {
        self.variant == variant(&self.varies, headers)
    }

    pub(super) fn age(&self, now: SystemTime) -> Duration {
        // A clock that was set back makes nothing younger than it came.
        self.age + now.duration_since(self.received).unwrap_or_default()
    }
}

/// The form in which a response lies in a far store.
#[derive(Serialize, Deserialize)]
struct Record {
    status: u16,
    headers: Vec<(String, Bytes)>,
    body: Bytes,
    received: SystemTime,
    age: Duration,
    terms: Terms,
    varies: Vec<String>,
    variant: String,
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = match self {
            Self::Pass => None,
            Self::Response(stored) => Some(stored.record()),
        };
        record.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(record) = Option::<Record>::deserialize(deserializer)? else {
            return Ok(Self::Pass);
        };
        let stored = record.stored().map_err(D::Error::custom)?;
        Ok(Self::Response(Box::new(stored)))
    }
}

impl Stored {
    fn record(&self) -> Record {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = Bytes::copy_from_slice(value.as_bytes());
            (name.as_str().to_owned(), value)
        };
        Record {
            status: self.status.as_u16(),
            headers: self.headers.iter().map(header).collect(),
            body: self.body.clone(),
            received: self.received,
            age: self.age,
            terms: self.terms,
            varies: self.varies.iter().map(ToString::to_string).collect(),
            variant: self.variant.clone(),
        }
    }
}

impl Record {
    fn stored(self) -> Result<Stored, http::Error> {
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.headers {
            headers.append(
                HeaderName::try_from(name)?,
                HeaderValue::from_maybe_shared(value)?,
            );
        }
        let varies = self.varies.into_iter().map(HeaderName::try_from);
        Ok(Stored {
            status: StatusCode::from_u16(self.status)?,
            headers,
            body: self.body,
            received: self.received,
            age: self.age,
            terms: self.terms,
            varies: varies.collect::<Result<_, _>>()?,
            variant: self.variant,
            seal: None,
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use perf_core::{Codec, MessagePack};

    #[test]
    fn a_response_comes_back_from_bytes_and_nonsense_does_not() {
        let mut headers = HeaderMap::new();
        headers.append("via", HeaderValue::from_static("one"));
        headers.append("via", HeaderValue::from_bytes(b"\xfftwo").unwrap());
        let stored = Stored {
            status: StatusCode::NOT_FOUND,
            headers: headers.clone(),
            body: Bytes::from_static(b"\x00body\xff"),
            received: SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567),
            age: Duration::from_secs(3),
            terms: Terms {
                fresh_for: Duration::from_secs(60),
                revalidate: Duration::ZERO,
                error: Duration::from_millis(1),
            },
            varies: Box::new([http::header::ACCEPT]),
            variant: " accept=1:*".to_owned(),
            seal: None,
        };
        let bytes = MessagePack
            .encode(&Kept::Response(Box::new(stored)))
            .unwrap();
        let Kept::Response(read) = MessagePack.decode(&bytes).unwrap() else {
            panic!("it was a response");
        };
        assert_eq!(
            (read.status, &read.headers),
            (StatusCode::NOT_FOUND, &headers)
        );
        assert_eq!(read.body, &b"\x00body\xff"[..]);
        assert_eq!(
            (read.terms.error, read.age),
            (Duration::from_millis(1), Duration::from_secs(3))
        );
        assert_eq!(
            (&*read.varies, &*read.variant),
            (&[http::header::ACCEPT][..], " accept=1:*")
        );
        let pass = MessagePack.encode(&Kept::Pass).unwrap();
        assert!(matches!(MessagePack.decode(&pass), Ok(Kept::Pass)));
        let nonsense = MessagePack.encode(&Some("text")).unwrap();
        assert!(MessagePack.decode::<Kept>(&nonsense).is_err());
    }
}
