use super::Orders;
use super::faults::{Direction, Silence};
use super::link::Link;
use super::traffic::Tally;
use fastrand::Rng;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// One client and its own connection to the server.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    pub(super) upstream: SocketAddr,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) tally: Arc<Tally>,
    /// Held until both sockets are closed, so that a cut can tell.
    pub(super) uncut: Arc<()>,
}

impl Connection {
    pub(super) async fn run(self, client: TcpStream) {
        let mut orders = self.orders.clone();
        let cut = orders.wait_for(|orders| !Arc::ptr_eq(&orders.uncut, &self.uncut));
        tokio::select! {
            // A cut goes before bytes that are ready to pass.
            biased;
            _cut = cut => reset(&client),
            outcome = self.pass(&client) => if outcome.is_err() { reset(&client) },
        }
    }

    async fn pass(&self, client: &TcpStream) -> io::Result<()> {
        let faults = self.orders.borrow().faults;
        let mut rng = Rng::with_seed(faults.seed ^ self.number);
        if rng.u8(0..100) < faults.lost_connections {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut orders = self.orders.clone();
        let audible = orders.wait_for(|orders| orders.faults.silence != Some(Silence::Both));
        audible.await.map_err(io::Error::other)?;
        let server = TcpStream::connect(self.upstream).await?;
        // The proxy adds no wait of its own: it has already seen what the sender chose to send together.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let outcome = self.link(client, &server, rng).await;
        if outcome.is_err() {
            reset(&server);
        }
        outcome
    }

    /// Passes bytes both ways until both sides have closed or one has failed.
    async fn link(&self, client: &TcpStream, server: &TcpStream, mut rng: Rng) -> io::Result<()> {
        let asked = AtomicBool::new(false);
        let mut link = |direction| Link {
            direction,
            orders: self.orders.clone(),
            tally: &self.tally,
            asked: &asked,
            rng: rng.fork(),
        };
        let to_server = link(Direction::ToServer);
        let to_client = link(Direction::ToClient);
        tokio::try_join!(
            to_server.carry(client, server),
            to_client.carry(server, client)
        )?;
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tally.disconnected();
    }
}

/// Makes the close that follows a reset instead of an orderly end.
fn reset(stream: &TcpStream) {
    let _closed = stream.set_zero_linger();
}
