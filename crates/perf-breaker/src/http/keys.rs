use super::decimal::Text;
use crate::error::ConfigError;
use ::http::header::{HeaderMap, HeaderName};
use ::http::{Extensions, Request};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Says whose limit a request counts against.
///
/// Any closure `Fn(&Request<B>) -> Option<K>` does. Requests without a key share one limit.
pub trait KeyExtractor<B> {
    /// What stands for a caller. Limiters hash it, however long it is.
    type Key: AsRef<[u8]>;

    /// The caller's key.
    fn key(&self, request: &Request<B>) -> Option<Self::Key>;
}

impl<B, K: AsRef<[u8]>, F: Fn(&Request<B>) -> Option<K>> KeyExtractor<B> for F {
    type Key = K;

    fn key(&self, request: &Request<B>) -> Option<K> {
        self(request)
    }
}

/// The caller's address: the connection's, or what one's own proxies say of it.
///
/// ```
/// use perf_breaker::http::{ClientAddress, KeyExtractor};
/// use std::net::SocketAddr;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(SocketAddr::from(([10, 0, 0, 9], 4_711)));
/// // A client that writes the header itself, and a proxy that appends what it has seen.
/// request.headers_mut().insert("x-forwarded-for", "1.2.3.4, 203.0.113.7".parse().unwrap());
///
/// let key = ClientAddress::of_extension().key(&request);
/// assert_eq!(key.unwrap().to_string(), "10.0.0.9");
/// let key = ClientAddress::of_extension().behind(1).key(&request);
/// assert_eq!(key.unwrap().to_string(), "203.0.113.7");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress {
    peer: fn(&Extensions) -> Option<IpAddr>,
    hops: usize,
    prefix: u32,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ClientAddress {
    /// The connection's address as an extension of type [`SocketAddr`].
    #[must_use]
    pub const fn of_extension() -> Self {
        Self::of(|extensions| extensions.get().map(SocketAddr::ip))
    }

    /// The connection's address as `peer` finds it among the request's extensions.
    #[must_use]
    pub const fn of(peer: fn(&Extensions) -> Option<IpAddr>) -> Self {
        Self {
            peer,
            hops: 0,
            prefix: 64,
        }
    }

    /// The service stands behind so many proxies of one's own, each of which appends to `X-Forwarded-For`
    /// whom it has seen. The entry so far from the end is the caller; a request with fewer entries came
    /// past the proxies and counts by its connection's address.
    #[must_use]
    pub const fn behind(mut self, proxies: usize) -> Self {
        self.hops = proxies;
        self
    }

    /// So many leading bits of an IPv6 address stand for a caller; 64 unless told otherwise.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Range`] for none, and for more than 128.
    pub fn with_ipv6_prefix(mut self, bits: u32) -> Result<Self, ConfigError> {
        if bits == 0 || bits > 128 {
            return Err(ConfigError::Range {
                setting: "IPv6 prefix",
                value: bits.into(),
                least: 1,
                most: 128,
            });
        }
        self.prefix = bits;
        Ok(self)
    }

    fn address<B>(&self, request: &Request<B>) -> Option<IpAddr> {
        self.forwarded(request.headers())
            .or_else(|| (self.peer)(request.extensions()))
    }

    fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let place = self.hops.checked_sub(1)?;
        // Several lines are one list; the last line's last entry is the nearest proxy's.
        let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        parse(std::str::from_utf8(entries.nth(place)?).ok()?.trim())
    }
}

/// With a port or without.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok();
    address.or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

impl<B> KeyExtractor<B> for ClientAddress {
    type Key = AddressKey;

    fn key(&self, request: &Request<B>) -> Option<AddressKey> {
        let address = self.address(request)?;
        Some(AddressKey::new(address, self.prefix))
    }
}

/// An address as text, IPv6 without the bits that one caller can vary.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(Text<LONGEST_ADDRESS>);

const LONGEST_ADDRESS: usize = 48;

impl AddressKey {
    fn new(address: IpAddr, prefix: u32) -> Self {
        let mut text = Text::new();
        // An IPv4 address in IPv6's clothes is the same caller.
        match address.to_canonical() {
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    text.push(if place == 0 { "" } else { "." });
                    text.push_number(octet.into());
                }
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX << (128 - prefix);
                let network = Ipv6Addr::from_bits(address.to_bits() & mask);
                text.push(&network.to_string());
                text.push("/");
                text.push_number(prefix.into());
            }
        }
        Self(text)
    }
}

impl AsRef<[u8]> for AddressKey {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_ref()))
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressKey({self})")
    }
}

/// The value of a header, of the first line if there are several.
///
/// ```
/// use perf_breaker::http::{HeaderKey, KeyExtractor};
///
/// let mut request = http::Request::new(());
/// let extractor = HeaderKey::new(http::HeaderName::from_static("x-api-key"));
/// assert_eq!(extractor.key(&request), None);
/// request.headers_mut().insert("x-api-key", "s3cret".parse().unwrap());
/// assert_eq!(extractor.key(&request).as_deref(), Some(&b"s3cret"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct HeaderKey {
    name: HeaderName,
}

impl HeaderKey {
    /// Keys that stand in header `name`.
    #[must_use]
    pub const fn new(name: HeaderName) -> Self {
        Self { name }
    }
}

impl<B> KeyExtractor<B> for HeaderKey {
    type Key = Box<[u8]>;

    fn key(&self, request: &Request<B>) -> Option<Box<[u8]>> {
        let value = request.headers().get(&self.name)?;
        Some(value.as_bytes().into())
    }
}
