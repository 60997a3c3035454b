//! A TCP proxy that misbehaves on command, and counts.
//!
//! It stands in front of any address and runs on a thread and a runtime of its own, in real time, so that
//! tests with a current-thread runtime or paused time can use it. A switch holds for connections that are
//! open as well as for new ones.
//!
//! | what the network does | how |
//! |---|---|
//! | nothing unusual | [`FaultProxy::set`] with [`Faults::none`] |
//! | is far, and not always equally far | [`Faults::with_delay`], [`Faults::with_jitter`] |
//! | is narrow | [`Faults::with_bandwidth`] |
//! | loses | [`Faults::with_lost_connections`], [`Faults::with_lost_chunks`] |
//! | swallows everything after the handshake (a black hole) | [`Faults::with_silence`], [`Silence::Both`] |
//! | swallows one direction (half-open) | [`Faults::with_silence`], one direction |
//! | resets what is open | [`FaultProxy::cut`] |
//! | refuses what is new | [`FaultProxy::refuse`], until [`FaultProxy::accept`] |
//!
//! # What a round trip is
//!
//! On one connection, all that the client sends before the server answers is one burst, and the server's
//! first bytes after it complete one round trip; the rest of the answer counts no more, nor does what a server
//! says unasked, such as MariaDB's greeting. Requests that are pipelined into one burst are hence one round trip, which is
//! the point of pipelining. A request that is sent while an answer is still on its way begins a burst of its own.
//!
//! Both counters and bytes are recorded before the bytes are handed on: whoever has read an answer finds
//! it counted.

mod connection;
mod faults;
mod link;
mod listener;
mod traffic;

pub use faults::{Faults, Silence};
pub use traffic::Traffic;

use crate::{Error, port};
use listener::Listener;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;
use traffic::Tally;

const STEP: Duration = Duration::from_micros(200);

/// What the proxy's threads are told.
#[derive(Clone, Debug)]
struct Orders {
    faults: Faults,
    refusing: bool,
    /// Held by each connection that was accepted since the last cut.
    uncut: Arc<()>,
}

/// A proxy in front of one address. Dropping it closes its port and its connections.
///
/// ```
/// use perf_testkit::{FaultProxy, Faults, RedisServer};
/// use std::time::Duration;
///
/// let server = RedisServer::shared()?;
/// let proxy = FaultProxy::start(server.address())?;
/// let url = server.url_through(proxy.address());
/// proxy.set(Faults::none().with_delay(Duration::from_millis(5)));
/// proxy.cut();
/// assert_eq!(proxy.traffic().connections, 0); // nothing has connected to `url` yet
/// # drop(url);
/// # Ok::<(), perf_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    // Taken on drop: the end of the orders is the end of the proxy.
    orders: Option<watch::Sender<Orders>>,
    listening: Arc<AtomicBool>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// A proxy on a free loopback port that passes everything on to `upstream`.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when no port or thread can be had.
    pub fn start(upstream: SocketAddr) -> Result<Self, Error> {
        let address = port::free_address()?;
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        let (orders, received) = watch::channel(Orders {
            faults: Faults::none(),
            refusing: false,
            uncut: Arc::new(()),
        });
        let tally = Arc::new(Tally::default());
        let listening = Arc::new(AtomicBool::new(true));
        let listener = Listener {
            address,
            upstream,
            orders: received,
            listening: Arc::clone(&listening),
            tally: Arc::clone(&tally),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || runtime.block_on(listener.serve(socket)))?;
        Ok(Self {
            address,
            orders: Some(orders),
            listening,
            tally,
            thread: Some(thread),
        })
    }

    /// The address to connect to instead of the upstream's.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the faults in force, for open and new connections.
    pub fn set(&self, faults: Faults) {
        self.order(|orders| orders.faults = faults);
    }

    /// Resets every open connection, and returns when they are closed.
    ///
    /// Bytes that are on their way are lost. New connections are served.
    pub fn cut(&self) {
        let mut cut = Arc::new(());
        self.order(|orders| std::mem::swap(&mut orders.uncut, &mut cut));
        wait_until(|| Arc::strong_count(&cut) == 1);
    }

    /// Closes the port, so that the system refuses new connections, and returns when it is closed.
    ///
    /// Open connections stay; [`FaultProxy::cut`] closes them.
    pub fn refuse(&self) {
        self.order(|orders| orders.refusing = true);
        wait_until(|| !self.listening.load(Ordering::Acquire));
    }

    /// Opens the same port again after [`FaultProxy::refuse`], and returns when it is open.
    pub fn accept(&self) {
        self.order(|orders| orders.refusing = false);
        wait_until(|| self.listening.load(Ordering::Acquire));
    }

    /// What has passed since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.tally.traffic()
    }

    /// The number of connections that are open at the moment.
    #[must_use]
    pub fn open_connections(&self) -> u64 {
        self.tally.open_connections()
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        if let Some(orders) = &self.orders {
            orders.send_modify(change);
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Blocks until the proxy's thread has done what it was told, which takes it well under a millisecond.
fn wait_until(done: impl Fn() -> bool) {
    while !done() {
        thread::sleep(STEP);
    }
}
