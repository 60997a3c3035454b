use std::net::SocketAddr;
use std::path::PathBuf;

/// An empty database of one test, as the addresses under which drivers find it.
///
/// Nothing drops it: the server's end does.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) socket: Socket,
}

/// Where the server's Unix socket is, in the form its drivers want it.
#[derive(Clone, Debug)]
pub(super) enum Socket {
    /// The folder of the socket.
    Postgres(PathBuf),
    /// The socket itself.
    MariaDb(PathBuf),
}

impl Database {
    /// The database's name, unique within its server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL over TCP.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_through(self.address)
    }

    /// The URL over TCP with another address in front, as that of a fault proxy.
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        let name = &self.name;
        match self.socket {
            Socket::Postgres(_) => format!("postgres://postgres@{address}/{name}"),
            Socket::MariaDb(_) => format!("mysql://root@{address}/{name}"),
        }
    }

    /// The URL over the server's Unix socket, in the form that sqlx reads.
    #[must_use]
    pub fn url_unix(&self) -> String {
        let (name, port) = (&self.name, self.address.port());
        match &self.socket {
            Socket::Postgres(folder) => {
                let folder = folder.display();
                format!("postgres:///{name}?host={folder}&port={port}&user=postgres")
            }
            Socket::MariaDb(socket) => {
                format!("mysql://root@localhost/{name}?socket={}", socket.display())
            }
        }
    }
}
