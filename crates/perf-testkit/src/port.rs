//! Free ports of the loopback address.

use crate::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below 32768, where Linux begins to number outgoing connections.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
/// A prime, so that processes with neighbouring ids begin far apart.
const SPREAD: u32 = 7_919;

/// An address that nothing listens on at the moment of the call.
pub(crate) fn free_address() -> Result<SocketAddr, Error> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(SPREAD);
    (0..COUNT)
        .map(|_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST)
        .filter_map(|port| u16::try_from(port).ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|&address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrInUse).into())
}
