//! Unix domain sockets: a listener, its connections, datagrams.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{self, SocketAddr};
use std::panic::Location;
use std::path::Path;

use crate::instrument::mio::owned::{
    Owned, descriptor, readable, shutdown, take_error, try_io, writable,
};
use crate::record::event::{FdKind, Op};

/// A listening Unix socket, with the methods of [`mio::net::UnixListener`].
///
/// ```
/// use loopscope::mio::net::{UnixListener, UnixStream};
/// # fn main() -> std::io::Result<()> {
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("socket");
/// let listener = UnixListener::bind(&path)?;
/// let _client = UnixStream::connect(&path)?;
/// let (_connection, _address) = listener.accept()?;
/// # Ok(())
/// # }
/// ```
pub struct UnixListener {
    inner: Owned<::mio::net::UnixListener>,
}

impl UnixListener {
    /// Binds to a path and listens.
    ///
    /// # Errors
    ///
    /// As bind(2) and listen(2).
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        let at = Location::caller();
        ::mio::net::UnixListener::bind(path).map(|inner| UnixListener::made(inner, at))
    }

    /// Binds to an address, which may be abstract, and listens.
    ///
    /// # Errors
    ///
    /// As bind(2) and listen(2).
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        let at = Location::caller();
        ::mio::net::UnixListener::bind_addr(address).map(|inner| UnixListener::made(inner, at))
    }

    fn made(inner: ::mio::net::UnixListener, at: &'static Location<'static>) -> UnixListener {
        UnixListener {
            inner: Owned::made(inner, FdKind::UnixListener, -1, at),
        }
    }

    /// Takes over the standard library's listener, which should be non-blocking.
    pub fn from_std(listener: net::UnixListener) -> UnixListener {
        let inner = ::mio::net::UnixListener::from_std(listener);
        UnixListener {
            inner: Owned::adopted(inner, FdKind::UnixListener),
        }
    }

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// As accept(2): `WouldBlock` when nobody waits.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let at = Location::caller();
        let (stream, addr) = self.inner.call(
            Op::Accept,
            0,
            at,
            move |inner| inner.accept(),
            |(stream, _)| stream.as_raw_fd().into(),
        )?;
        Ok((
            UnixStream {
                inner: Owned::made(stream, FdKind::Unix, self.inner.fd(), at),
            },
            addr,
        ))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    take_error!();
}

descriptor!(UnixListener, FdKind::UnixListener, net::UnixListener);

/// A Unix stream, with the methods of [`mio::net::UnixStream`].
///
/// ```
/// use loopscope::mio::net::UnixStream;
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// let (mut a, mut b) = UnixStream::pair()?;
/// a.write_all(b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(b.read(&mut buffer)?, 5);
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    inner: Owned<::mio::net::UnixStream>,
}

impl UnixStream {
    /// Connects to a path.
    ///
    /// # Errors
    ///
    /// As connect(2).
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        let at = Location::caller();
        ::mio::net::UnixStream::connect(path).map(|inner| UnixStream::connected(inner, at))
    }

    /// Connects to an address, which may be abstract.
    ///
    /// # Errors
    ///
    /// As connect(2).
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> io::Result<UnixStream> {
        let at = Location::caller();
        ::mio::net::UnixStream::connect_addr(address).map(|inner| UnixStream::connected(inner, at))
    }

    fn connected(inner: ::mio::net::UnixStream, at: &'static Location<'static>) -> UnixStream {
        let inner = Owned::made(inner, FdKind::Unix, -1, at);
        if crate::instrument::is_on() {
            // A Unix connect is over when it returns, or it has failed.
            let _ = inner.bytes(Op::Connect, 0, at, |_| Ok(0));
        }
        UnixStream { inner }
    }

    /// Takes over the standard library's stream, which should be non-blocking.
    pub fn from_std(stream: net::UnixStream) -> UnixStream {
        let inner = ::mio::net::UnixStream::from_std(stream);
        UnixStream {
            inner: Owned::adopted(inner, FdKind::Unix),
        }
    }

    /// Two connected streams.
    ///
    /// # Errors
    ///
    /// As socketpair(2).
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let at = Location::caller();
        let (a, b) = ::mio::net::UnixStream::pair()?;
        let made = |inner| UnixStream {
            inner: Owned::made(inner, FdKind::Unix, -1, at),
        };
        Ok((made(a), made(b)))
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().peer_addr()
    }

    take_error!();

    shutdown!();

    try_io!();
}

readable!(UnixStream, Recv);
writable!(UnixStream, Send);
descriptor!(UnixStream, FdKind::Unix, net::UnixStream);

/// A Unix datagram socket, with the methods of [`mio::net::UnixDatagram`].
///
/// ```
/// use loopscope::mio::net::UnixDatagram;
/// # fn main() -> std::io::Result<()> {
/// let (a, b) = UnixDatagram::pair()?;
/// a.send(b"hello")?;
/// let mut buffer = [0; 16];
/// assert_eq!(b.recv(&mut buffer)?, 5);
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    inner: Owned<::mio::net::UnixDatagram>,
}

impl UnixDatagram {
    /// Binds to a path.
    ///
    /// # Errors
    ///
    /// As bind(2).
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        let at = Location::caller();
        ::mio::net::UnixDatagram::bind(path).map(|inner| UnixDatagram::made(inner, at))
    }

    /// Binds to an address, which may be abstract.
    ///
    /// # Errors
    ///
    /// As bind(2).
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixDatagram> {
        let at = Location::caller();
        ::mio::net::UnixDatagram::bind_addr(address).map(|inner| UnixDatagram::made(inner, at))
    }

    fn made(inner: ::mio::net::UnixDatagram, at: &'static Location<'static>) -> UnixDatagram {
        UnixDatagram {
            inner: Owned::made(inner, FdKind::UnixDatagram, -1, at),
        }
    }

    /// Takes over the standard library's socket, which should be non-blocking.
    pub fn from_std(socket: net::UnixDatagram) -> UnixDatagram {
        let inner = ::mio::net::UnixDatagram::from_std(socket);
        UnixDatagram {
            inner: Owned::adopted(inner, FdKind::UnixDatagram),
        }
    }

    /// Fixes the peer.
    ///
    /// # Errors
    ///
    /// As connect(2).
    #[track_caller]
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.inner.call(
            Op::Connect,
            0,
            Location::caller(),
            move |inner| inner.connect(path),
            |()| 0,
        )
    }

    /// A socket without an address.
    ///
    /// # Errors
    ///
    /// As socket(2).
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        let at = Location::caller();
        ::mio::net::UnixDatagram::unbound().map(|inner| UnixDatagram::made(inner, at))
    }

    /// Two connected sockets.
    ///
    /// # Errors
    ///
    /// As socketpair(2).
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let at = Location::caller();
        let (a, b) = ::mio::net::UnixDatagram::pair()?;
        Ok((UnixDatagram::made(a, at), UnixDatagram::made(b, at)))
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    /// The connected peer's address.
    ///
    /// # Errors
    ///
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().peer_addr()
    }

    /// Receives a datagram and who sent it.
    ///
    /// # Errors
    ///
    /// As recvfrom(2).
    #[track_caller]
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (at, asked) = (Location::caller(), buf.len());
        self.inner.call(
            Op::Recv,
            asked,
            at,
            move |inner| inner.recv_from(buf),
            |(n, _)| *n as i64,
        )
    }

    /// Receives a datagram from the connected peer.
    ///
    /// # Errors
    ///
    /// As recv(2).
    #[track_caller]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner
            .bytes(Op::Recv, buf.len(), Location::caller(), |inner| {
                inner.recv(buf)
            })
    }

    /// Sends a datagram to a path.
    ///
    /// # Errors
    ///
    /// As sendto(2).
    #[track_caller]
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.inner
            .bytes(Op::Send, buf.len(), Location::caller(), |inner| {
                inner.send_to(buf, path)
            })
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    ///
    /// As send(2).
    #[track_caller]
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner
            .bytes(Op::Send, buf.len(), Location::caller(), |inner| {
                inner.send(buf)
            })
    }

    take_error!();

    shutdown!();

    try_io!();
}

descriptor!(UnixDatagram, FdKind::UnixDatagram, net::UnixDatagram);
