//! UDP.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::Location;

use crate::instrument::mio::owned::{Owned, descriptor, take_error, try_io};
use crate::record::event::{FdKind, Op};

/// A UDP socket, with the methods of [`mio::net::UdpSocket`].
///
/// ```
/// use loopscope::mio::net::UdpSocket;
/// # fn main() -> std::io::Result<()> {
/// let a = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
/// let b = UdpSocket::bind("127.0.0.1:0".parse().unwrap())?;
/// a.send_to(b"hello", b.local_addr()?)?;
/// # Ok(())
/// # }
/// ```
pub struct UdpSocket {
    inner: Owned<::mio::net::UdpSocket>,
}

impl UdpSocket {
    /// Binds to an address.
    ///
    /// # Errors
    ///
    /// As bind(2).
    #[track_caller]
    pub fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
        let inner = ::mio::net::UdpSocket::bind(addr)?;
        Ok(UdpSocket {
            inner: Owned::made(inner, FdKind::Udp, -1, Location::caller()),
        })
    }

    /// Takes over the standard library's socket, which should be non-blocking.
    pub fn from_std(socket: net::UdpSocket) -> UdpSocket {
        UdpSocket {
            inner: Owned::adopted(::mio::net::UdpSocket::from_std(socket), FdKind::Udp),
        }
    }

    /// Sends a datagram to an address.
    ///
    /// # Errors
    ///
    /// As sendto(2).
    #[track_caller]
    pub fn send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.inner
            .bytes(Op::Send, buf.len(), Location::caller(), |inner| {
                inner.send_to(buf, target)
            })
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

    /// Receives a datagram without taking it.
    ///
    /// # Errors
    ///
    /// As recvfrom(2).
    #[track_caller]
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (at, asked) = (Location::caller(), buf.len());
        self.inner.call(
            Op::Peek,
            asked,
            at,
            move |inner| inner.peek_from(buf),
            |(n, _)| *n as i64,
        )
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

    /// Receives a datagram from the connected peer without taking it.
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

    /// Fixes the peer.
    ///
    /// # Errors
    ///
    /// As connect(2).
    #[track_caller]
    pub fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.inner.call(
            Op::Connect,
            0,
            Location::caller(),
            move |inner| inner.connect(addr),
            |()| 0,
        )
    }

    take_error!();

    try_io!();

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

    /// Sets SO_BROADCAST.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_broadcast(on)
    }

    /// SO_BROADCAST.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn broadcast(&self) -> io::Result<bool> {
        self.inner.get().broadcast()
    }

    /// Sets IP_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_multicast_loop_v4(on)
    }

    /// IP_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.inner.get().multicast_loop_v4()
    }

    /// Sets IP_MULTICAST_TTL.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.inner.get().set_multicast_ttl_v4(ttl)
    }

    /// IP_MULTICAST_TTL.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.inner.get().multicast_ttl_v4()
    }

    /// Sets IPV6_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.inner.get().set_multicast_loop_v6(on)
    }

    /// IPV6_MULTICAST_LOOP.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.inner.get().multicast_loop_v6()
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

    /// Joins a group, IP_ADD_MEMBERSHIP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.inner.get().join_multicast_v4(multiaddr, interface)
    }

    /// Joins a group, IPV6_ADD_MEMBERSHIP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.get().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group, IP_DROP_MEMBERSHIP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.inner.get().leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves a group, IPV6_DROP_MEMBERSHIP.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.inner.get().leave_multicast_v6(multiaddr, interface)
    }

    /// IPV6_V6ONLY.
    ///
    /// # Errors
    ///
    /// As getsockopt(2).
    pub fn only_v6(&self) -> io::Result<bool> {
        self.inner.get().only_v6()
    }
}

descriptor!(UdpSocket, FdKind::Udp, net::UdpSocket);
