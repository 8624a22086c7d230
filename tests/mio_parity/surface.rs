// Everything a program can name of mio on Linux, with its type. Included twice: once with `mio` being mio itself, once
// the mirror; both must compile. tests/mio_parity.rs checks that nothing public of mio is missing here.

use mio::event::{Event, Events, Iter, Source};
use mio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use mio::unix::{SourceFd, pipe};
use mio::{Interest, Poll, Registry, Token, Waker};
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::SocketAddr as UnixAddr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::Duration;

type R<T> = io::Result<T>;
type Error = Option<io::Error>;

fn descriptor<T>()
where
    T: Source + AsRawFd + AsFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd> + Debug,
    T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static,
{
}

fn reader<T: Read>()
where
    for<'a> &'a T: Read,
{
}

fn writer<T: Write>()
where
    for<'a> &'a T: Write,
{
}

fn thread_safe<T: Send + Sync + Debug>() {}

pub fn traits() {
    descriptor::<TcpListener>();
    descriptor::<TcpStream>();
    descriptor::<UdpSocket>();
    descriptor::<UnixListener>();
    descriptor::<UnixStream>();
    descriptor::<UnixDatagram>();
    descriptor::<pipe::Sender>();
    descriptor::<pipe::Receiver>();
    reader::<TcpStream>();
    reader::<UnixStream>();
    reader::<pipe::Receiver>();
    writer::<TcpStream>();
    writer::<UnixStream>();
    writer::<pipe::Sender>();
    thread_safe::<Poll>();
    thread_safe::<Registry>();
    thread_safe::<Events>();
    thread_safe::<Event>();
    thread_safe::<Iter<'_>>();
    thread_safe::<Waker>();
    thread_safe::<SourceFd<'_>>();
    thread_safe::<Token>();
    thread_safe::<Interest>();
    fn raw<T: AsRawFd>() {}
    raw::<Poll>();
    raw::<Registry>();
    fn fd<T: AsFd>() {}
    fd::<Registry>();
    fn clone<T: Clone>() {}
    clone::<Event>();
    clone::<Iter<'_>>();
    fn converts<A, B: From<A>>() {}
    converts::<TcpListener, std::net::TcpListener>();
    converts::<TcpStream, std::net::TcpStream>();
    converts::<UdpSocket, std::net::UdpSocket>();
    converts::<UnixListener, std::os::unix::net::UnixListener>();
    converts::<UnixStream, std::os::unix::net::UnixStream>();
    converts::<UnixDatagram, std::os::unix::net::UnixDatagram>();
    converts::<ChildStdin, pipe::Sender>();
    converts::<ChildStdout, pipe::Receiver>();
    converts::<ChildStderr, pipe::Receiver>();
    fn source<T: Source + ?Sized>() {}
    source::<SourceFd<'_>>();
    source::<Box<dyn Source>>();
    source::<Box<dyn Source + Send>>();
    source::<Box<dyn Source + Send + Sync>>();
}

pub fn poll_and_registry() {
    let _: fn() -> R<Poll> = Poll::new;
    let _: fn(&Poll) -> &Registry = Poll::registry;
    let _: fn(&mut Poll, &mut Events, Option<Duration>) -> R<()> = Poll::poll;
    let _: fn(&Registry, &mut TcpStream, Token, Interest) -> R<()> = Registry::register;
    let _: fn(&Registry, &mut (dyn Source + 'static), Token, Interest) -> R<()> = Registry::register;
    let _: fn(&Registry, &mut TcpStream, Token, Interest) -> R<()> = Registry::reregister;
    let _: fn(&Registry, &mut TcpStream) -> R<()> = Registry::deregister;
    let _: fn(&Registry) -> R<Registry> = Registry::try_clone;
    let _: fn(&Registry, Token) -> R<Waker> = Waker::new;
    let _: fn(&Waker) -> R<()> = Waker::wake;
    let fd: RawFd = 0;
    let _ = SourceFd(&fd);
}

pub fn events() {
    let _: fn(usize) -> Events = Events::with_capacity;
    let _: fn(&Events) -> usize = Events::capacity;
    let _: fn(&Events) -> bool = Events::is_empty;
    let _: fn(&Events) -> Iter<'_> = Events::iter;
    let _: fn(&mut Events) = Events::clear;
    let _: fn(&Event) -> Token = Event::token;
    let _: [fn(&Event) -> bool; 8] = [
        Event::is_readable,
        Event::is_writable,
        Event::is_error,
        Event::is_read_closed,
        Event::is_write_closed,
        Event::is_priority,
        Event::is_aio,
        Event::is_lio,
    ];
    fn walk<'a>(events: &'a Events) -> <&'a Events as IntoIterator>::IntoIter {
        events.into_iter()
    }
    let _: fn(&Events) -> Iter<'_> = walk;
}

/// An iterator that is still in scope does not keep its events borrowed.
pub fn a_batch_can_be_reused_after_its_last_use(poll: &mut Poll, events: &mut Events) -> R<()> {
    let mut iter = events.iter();
    let _ = iter.next().map(Event::token);
    poll.poll(events, Some(Duration::ZERO))
}

pub fn tcp() {
    let _: fn(SocketAddr) -> R<TcpListener> = TcpListener::bind;
    let _: fn(std::net::TcpListener) -> TcpListener = TcpListener::from_std;
    let _: fn(&TcpListener) -> R<(TcpStream, SocketAddr)> = TcpListener::accept;
    let _: fn(&TcpListener) -> R<SocketAddr> = TcpListener::local_addr;
    let _: fn(&TcpListener, u32) -> R<()> = TcpListener::set_ttl;
    let _: fn(&TcpListener) -> R<u32> = TcpListener::ttl;
    let _: fn(&TcpListener) -> R<Error> = TcpListener::take_error;
    let _: fn(SocketAddr) -> R<TcpStream> = TcpStream::connect;
    let _: fn(std::net::TcpStream) -> TcpStream = TcpStream::from_std;
    let _: fn(&TcpStream) -> R<SocketAddr> = TcpStream::peer_addr;
    let _: fn(&TcpStream) -> R<SocketAddr> = TcpStream::local_addr;
    let _: fn(&TcpStream, Shutdown) -> R<()> = TcpStream::shutdown;
    let _: fn(&TcpStream, bool) -> R<()> = TcpStream::set_nodelay;
    let _: fn(&TcpStream) -> R<bool> = TcpStream::nodelay;
    let _: fn(&TcpStream, u32) -> R<()> = TcpStream::set_ttl;
    let _: fn(&TcpStream) -> R<u32> = TcpStream::ttl;
    let _: fn(&TcpStream) -> R<Error> = TcpStream::take_error;
    let _: fn(&TcpStream, &mut [u8]) -> R<usize> = TcpStream::peek;
    let _: fn(&TcpStream, fn() -> R<()>) -> R<()> = TcpStream::try_io;
}

pub fn udp() {
    let _: fn(SocketAddr) -> R<UdpSocket> = UdpSocket::bind;
    let _: fn(std::net::UdpSocket) -> UdpSocket = UdpSocket::from_std;
    let _: fn(&UdpSocket) -> R<SocketAddr> = UdpSocket::local_addr;
    let _: fn(&UdpSocket) -> R<SocketAddr> = UdpSocket::peer_addr;
    let _: fn(&UdpSocket, &[u8], SocketAddr) -> R<usize> = UdpSocket::send_to;
    let _: fn(&UdpSocket, &mut [u8]) -> R<(usize, SocketAddr)> = UdpSocket::recv_from;
    let _: fn(&UdpSocket, &mut [u8]) -> R<(usize, SocketAddr)> = UdpSocket::peek_from;
    let _: fn(&UdpSocket, &[u8]) -> R<usize> = UdpSocket::send;
    let _: fn(&UdpSocket, &mut [u8]) -> R<usize> = UdpSocket::recv;
    let _: fn(&UdpSocket, &mut [u8]) -> R<usize> = UdpSocket::peek;
    let _: fn(&UdpSocket, SocketAddr) -> R<()> = UdpSocket::connect;
    let _: fn(&UdpSocket, bool) -> R<()> = UdpSocket::set_broadcast;
    let _: fn(&UdpSocket) -> R<bool> = UdpSocket::broadcast;
    let _: fn(&UdpSocket, bool) -> R<()> = UdpSocket::set_multicast_loop_v4;
    let _: fn(&UdpSocket) -> R<bool> = UdpSocket::multicast_loop_v4;
    let _: fn(&UdpSocket, u32) -> R<()> = UdpSocket::set_multicast_ttl_v4;
    let _: fn(&UdpSocket) -> R<u32> = UdpSocket::multicast_ttl_v4;
    let _: fn(&UdpSocket, bool) -> R<()> = UdpSocket::set_multicast_loop_v6;
    let _: fn(&UdpSocket) -> R<bool> = UdpSocket::multicast_loop_v6;
    let _: fn(&UdpSocket, u32) -> R<()> = UdpSocket::set_ttl;
    let _: fn(&UdpSocket) -> R<u32> = UdpSocket::ttl;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> R<()> = UdpSocket::join_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> R<()> = UdpSocket::join_multicast_v6;
    let _: fn(&UdpSocket, &Ipv4Addr, &Ipv4Addr) -> R<()> = UdpSocket::leave_multicast_v4;
    let _: fn(&UdpSocket, &Ipv6Addr, u32) -> R<()> = UdpSocket::leave_multicast_v6;
    let _: fn(&UdpSocket) -> R<bool> = UdpSocket::only_v6;
    let _: fn(&UdpSocket) -> R<Error> = UdpSocket::take_error;
    let _: fn(&UdpSocket, fn() -> R<()>) -> R<()> = UdpSocket::try_io;
}

pub fn unix_sockets() {
    let _: fn(&'static Path) -> R<UnixListener> = UnixListener::bind;
    let _: fn(&UnixAddr) -> R<UnixListener> = UnixListener::bind_addr;
    let _: fn(std::os::unix::net::UnixListener) -> UnixListener = UnixListener::from_std;
    let _: fn(&UnixListener) -> R<(UnixStream, UnixAddr)> = UnixListener::accept;
    let _: fn(&UnixListener) -> R<UnixAddr> = UnixListener::local_addr;
    let _: fn(&UnixListener) -> R<Error> = UnixListener::take_error;
    let _: fn(&'static Path) -> R<UnixStream> = UnixStream::connect;
    let _: fn(&UnixAddr) -> R<UnixStream> = UnixStream::connect_addr;
    let _: fn(std::os::unix::net::UnixStream) -> UnixStream = UnixStream::from_std;
    let _: fn() -> R<(UnixStream, UnixStream)> = UnixStream::pair;
    let _: fn(&UnixStream) -> R<UnixAddr> = UnixStream::local_addr;
    let _: fn(&UnixStream) -> R<UnixAddr> = UnixStream::peer_addr;
    let _: fn(&UnixStream) -> R<Error> = UnixStream::take_error;
    let _: fn(&UnixStream, Shutdown) -> R<()> = UnixStream::shutdown;
    let _: fn(&UnixStream, fn() -> R<()>) -> R<()> = UnixStream::try_io;
    let _: fn(&'static Path) -> R<UnixDatagram> = UnixDatagram::bind;
    let _: fn(&UnixAddr) -> R<UnixDatagram> = UnixDatagram::bind_addr;
    let _: fn(std::os::unix::net::UnixDatagram) -> UnixDatagram = UnixDatagram::from_std;
    let _: fn(&UnixDatagram, &'static Path) -> R<()> = UnixDatagram::connect;
    let _: fn() -> R<UnixDatagram> = UnixDatagram::unbound;
    let _: fn() -> R<(UnixDatagram, UnixDatagram)> = UnixDatagram::pair;
    let _: fn(&UnixDatagram) -> R<UnixAddr> = UnixDatagram::local_addr;
    let _: fn(&UnixDatagram) -> R<UnixAddr> = UnixDatagram::peer_addr;
    let _: fn(&UnixDatagram, &mut [u8]) -> R<(usize, UnixAddr)> = UnixDatagram::recv_from;
    let _: fn(&UnixDatagram, &mut [u8]) -> R<usize> = UnixDatagram::recv;
    let _: fn(&UnixDatagram, &[u8], &'static Path) -> R<usize> = UnixDatagram::send_to;
    let _: fn(&UnixDatagram, &[u8]) -> R<usize> = UnixDatagram::send;
    let _: fn(&UnixDatagram) -> R<Error> = UnixDatagram::take_error;
    let _: fn(&UnixDatagram, Shutdown) -> R<()> = UnixDatagram::shutdown;
    let _: fn(&UnixDatagram, fn() -> R<()>) -> R<()> = UnixDatagram::try_io;
}

pub fn pipes() {
    let _: fn() -> R<(pipe::Sender, pipe::Receiver)> = pipe::new;
    let _: fn(&pipe::Sender, bool) -> R<()> = pipe::Sender::set_nonblocking;
    let _: fn(&pipe::Sender, fn() -> R<()>) -> R<()> = pipe::Sender::try_io;
    let _: fn(&pipe::Receiver, bool) -> R<()> = pipe::Receiver::set_nonblocking;
    let _: fn(&pipe::Receiver, fn() -> R<()>) -> R<()> = pipe::Receiver::try_io;
}

/// A source of the program's own, as mio's documentation shows it.
pub struct Connection(pub TcpStream);

impl Source for Connection {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> R<()> {
        registry.register(&mut self.0, token, interests)
    }
    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> R<()> {
        self.0.reregister(registry, token, interests)
    }
    fn deregister(&mut self, registry: &Registry) -> R<()> {
        self.0.deregister(registry)
    }
}
