use super::Orders;
use super::connection::Connection;
use super::traffic::Tally;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy's main loop: accepts while it is not told to refuse.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) upstream: SocketAddr,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) listening: Arc<AtomicBool>,
    pub(super) tally: Arc<Tally>,
}

impl Listener {
    /// Runs until the orders end. Dropping the runtime then closes the connections.
    pub(super) async fn serve(mut self, socket: StdListener) {
        let mut socket = TcpListener::from_std(socket).ok();
        loop {
            if let Some(open) = socket.take() {
                self.listening.store(true, Ordering::Release);
                self.accept(&open).await;
            }
            self.listening.store(false, Ordering::Release);
            // A wait would be content with the last orders, even when none can follow.
            let ended = self.orders.has_changed().is_err();
            if ended
                || self
                    .orders
                    .wait_for(|orders| !orders.refusing)
                    .await
                    .is_err()
            {
                return;
            }
            // Nobody takes this port meanwhile but a sibling test, which frees it again.
            socket = TcpListener::bind(self.address).await.ok();
            tokio::task::yield_now().await;
        }
    }

    /// Returns when new connections are to be refused or the orders have ended.
    async fn accept(&mut self, socket: &TcpListener) {
        let mut orders = self.orders.clone();
        loop {
            tokio::select! {
                accepted = socket.accept() => {
                    if let Ok((client, _)) = accepted {
                        self.begin(client);
                    }
                }
                _refusing = orders.wait_for(|orders| orders.refusing) => return,
            }
        }
    }

    fn begin(&self, client: TcpStream) {
        let uncut = Arc::clone(&self.orders.borrow().uncut);
        let connection = Connection {
            number: self.tally.connected(),
            upstream: self.upstream,
            orders: self.orders.clone(),
            tally: Arc::clone(&self.tally),
            uncut,
        };
        tokio::spawn(connection.run(client));
    }
}
