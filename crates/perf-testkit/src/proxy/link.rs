use super::Orders;
use super::faults::{Direction, Faults};
use super::traffic::Tally;
use fastrand::Rng;
use std::io;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

const CHUNK_BYTES: usize = 16 * 1024;
/// What a direction may hold, 4 MiB, before the proxy stops reading: the most that can be under way.
const CHUNKS: usize = 256;

/// One direction of one connection.
#[derive(Debug)]
pub(super) struct Link<'a> {
    pub(super) direction: Direction,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) tally: &'a Tally,
    pub(super) asked: &'a AtomicBool,
    pub(super) rng: Rng,
}

struct Chunk {
    bytes: Vec<u8>,
    arrived: Instant,
}

impl Link<'_> {
    /// Carries bytes until `from` has closed, and then closes that direction of `to`.
    pub(super) async fn carry(self, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        // Reading goes on while chunks wait for their time: a delay is distance, not idleness.
        let (sender, receiver) = mpsc::channel(CHUNKS);
        tokio::try_join!(receive(from, sender), self.deliver(receiver, to))?;
        Ok(())
    }

    async fn deliver(
        mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        to: &TcpStream,
    ) -> io::Result<()> {
        let mut busy_until = None;
        while let Some(chunk) = chunks.recv().await {
            if self.rng.u8(0..100) < self.faults().lost_chunks {
                continue;
            }
            busy_until = self.wait_out(&chunk, busy_until).await?;
            self.wait_for_silence_to_end().await?;
            self.tally
                .passed(self.direction, chunk.bytes.len(), self.asked);
            write(to, &chunk.bytes).await?;
        }
        self.wait_for_silence_to_end().await?;
        // Borrowed streams have no asynchronous shutdown; the system call does not block.
        rustix::net::shutdown(to, rustix::net::Shutdown::Write)?;
        Ok(())
    }

    /// Waits for the chunk's time, anew whenever the faults change, and tells until when the link is busy.
    async fn wait_out(
        &mut self,
        chunk: &Chunk,
        busy_until: Option<Instant>,
    ) -> io::Result<Option<Instant>> {
        let luck = self.rng.f64();
        loop {
            let faults = self.orders.borrow_and_update().faults;
            let begun = busy_until.map_or(chunk.arrived, |busy| busy.max(chunk.arrived));
            let sent = begun + faults.transmission(chunk.bytes.len());
            let due = sent + faults.delay + faults.jitter.mul_f64(luck);
            if due == chunk.arrived {
                return Ok(Some(sent));
            }
            tokio::select! {
                () = sleep_until(due) => return Ok(Some(sent)),
                changed = self.orders.changed() => changed.map_err(io::Error::other)?,
            }
        }
    }

    async fn wait_for_silence_to_end(&mut self) -> io::Result<()> {
        let direction = self.direction;
        let audible = |orders: &Orders| !orders.faults.silences(direction);
        self.orders
            .wait_for(audible)
            .await
            .map_err(io::Error::other)?;
        Ok(())
    }

    fn faults(&self) -> Faults {
        self.orders.borrow().faults
    }
}

async fn receive(from: &TcpStream, chunks: mpsc::Sender<Chunk>) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        match from.try_read_buf(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                let arrived = now();
                let _ended = chunks.send(Chunk { bytes, arrived }).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the proxy plays the network, which no test's clock moves"
)]
fn now() -> Instant {
    Instant::now()
}
