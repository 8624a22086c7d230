//! Sockets: mio's, reporting bytes, EAGAIN, end of file, addresses and close.
//!
//! The types have mio's methods and conversions; see [`mio::net`] for what each does.

mod tcp;
mod udp;
mod uds;

pub use self::tcp::{TcpListener, TcpStream};
pub use self::udp::UdpSocket;
pub use self::uds::{UnixDatagram, UnixListener, UnixStream};
