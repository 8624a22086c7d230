//! TCP: a listener and its connections.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsRawFd;
use std::panic::Location;

use crate::instrument::mio::owned::{
    Owned, descriptor, readable, shutdown, take_error, try_io, writable,
};
use crate::record::event::{FdKind, Op};

/// A listening TCP socket, with the methods of [`mio::net::TcpListener`].
///
/// ```
/// use loopscope::mio::net::TcpListener;
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
/// let nobody = listener.accept();
/// assert_eq!(nobody.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
/// # Ok(())
/// # }
/// ```
pub struct TcpListener {
    inner: Owned<::mio::net::TcpListener>,
}

impl TcpListener {
    /// Binds to an address with SO_REUSEADDR and listens with a backlog of 128.
    ///
    /// # Errors
    ///
    /// As bind(2) and listen(2).
    #[track_caller]
    pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        let inner = ::mio::net::TcpListener::bind(addr)?;
        Ok(TcpListener {
            inner: Owned::made(inner, FdKind::TcpListener, -1, Location::caller()),
        })
    }

    /// Takes over the standard library's listener, which should be non-blocking.
    pub fn from_std(listener: net::TcpListener) -> TcpListener {
        let inner = ::mio::net::TcpListener::from_std(listener);
        TcpListener {
            inner: Owned::adopted(inner, FdKind::TcpListener),
        }
    }

    /// Accepts a connection.
    ///
    /// # Errors
    ///
    /// As accept(2): `WouldBlock` when nobody waits.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let at = Location::caller();
        let (stream, addr) = self.inner.call(
            Op::Accept,
            0,
            at,
            move |inner| inner.accept(),
            |(stream, _)| stream.as_raw_fd().into(),
        )?;
        Ok((
            TcpStream {
                inner: Owned::made(stream, FdKind::Tcp, self.inner.fd(), at),
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

    /// Sets IP_TTL.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.get().set_ttl(ttl)
    }

    /// IP_TTL.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.get().ttl()
    }

    take_error!();
}

descriptor!(TcpListener, FdKind::TcpListener, net::TcpListener);

/// A TCP connection, with the methods of [`mio::net::TcpStream`].
///
/// ```
/// use loopscope::mio::net::{TcpListener, TcpStream};
/// # fn main() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
/// let stream = TcpStream::connect(listener.local_addr()?)?;
/// stream.set_nodelay(true)?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    inner: Owned<::mio::net::TcpStream>,
}

impl TcpStream {
    /// Starts to connect; once writable, [`TcpStream::take_error`] and [`TcpStream::peer_addr`] say how it went.
    ///
    /// # Errors
    ///
    /// As socket(2) and connect(2), but for EINPROGRESS.
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        let at = Location::caller();
        let inner = Owned::made(::mio::net::TcpStream::connect(addr)?, FdKind::Tcp, -1, at);
        // The call was made before its descriptor could be recorded; what is left to say is whether it is over.
        if crate::instrument::is_on() {
            let over = match inner.get().peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                    Err(io::Error::from_raw_os_error(libc::EINPROGRESS))
                }
                _ => Ok(0),
            };
            let _ = inner.bytes(Op::Connect, 0, at, |_| over);
        }
        Ok(TcpStream { inner })
    }

    /// Takes over the standard library's stream, which should be non-blocking.
    pub fn from_std(stream: net::TcpStream) -> TcpStream {
        let inner = ::mio::net::TcpStream::from_std(stream);
        TcpStream {
            inner: Owned::adopted(inner, FdKind::Tcp),
        }
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// As getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().peer_addr()
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// As getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.get().local_addr()
    }

    shutdown!();

    /// Sets TCP_NODELAY.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.inner.get().set_nodelay(nodelay)
    }

    /// TCP_NODELAY.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.inner.get().nodelay()
    }

    /// Sets IP_TTL.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.inner.get().set_ttl(ttl)
    }

    /// IP_TTL.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.inner.get().ttl()
    }

    take_error!();

    /// Reads without taking.
    ///
    /// # Errors
    ///
    /// As recv(2).
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner
            .bytes(Op::Peek, buf.len(), Location::caller(), |inner| {
                inner.peek(buf)
            })
    }

    try_io!();
}

readable!(TcpStream, Recv);
writable!(TcpStream, Send);
descriptor!(TcpStream, FdKind::Tcp, net::TcpStream);
