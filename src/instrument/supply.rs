//! What a load generator knows: when it sent. Step: **event** → ring.
//!
//! The receiving loop cannot tell when its socket became ready, only when it was told. A sender in the same recording
//! stamps before and after each send, and the model matches the reversed pair of addresses: notice time is measured.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::{address, name, state};
use crate::record::event::{Kind, Space};
use crate::record::stack_text::StackText;
use crate::record::wire::Rec;

/// Numbers the pairs of this process, from 1.
static PAIRS: AtomicI32 = AtomicI32::new(1);

/// A connected socket that supplies a recorded loop with work.
///
/// ```
/// use loopscope::Supplier;
/// use std::io::Write;
/// # fn main() -> std::io::Result<()> {
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// let mut stream = std::net::TcpStream::connect(address)?;
/// let supplier = Supplier::new(&stream)?;
/// supplier.supplied(|| stream.write(b"GET / HTTP/1.1\r\n\r\n"))?;
/// # Ok(())
/// # }
/// ```
pub struct Supplier {
    pair: StackText,
    id: i32,
    told: AtomicU32,
}

impl Supplier {
    /// Takes the addresses of a connected socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no socket.
    pub fn new(socket: &impl AsFd) -> io::Result<Supplier> {
        let fd = socket.as_fd().as_raw_fd();
        let pair = address::pair(address::kind_of(fd), fd);
        if pair.as_bytes().is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "cannot supply through descriptor {fd}: it is no socket; give a connected one"
                ),
            ));
        }
        Ok(Supplier {
            pair,
            id: PAIRS.fetch_add(1, Ordering::Relaxed),
            told: AtomicU32::new(0),
        })
    }

    /// Sends by `send`, which returns the bytes that went out, and stamps before and after it.
    ///
    /// # Errors
    ///
    /// What `send` returns.
    #[inline]
    #[track_caller]
    pub fn supplied(&self, send: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        let Some((site, begun)) = self.begin(Location::caller()) else {
            return send();
        };
        let sent = send();
        self.end(site, begun, sent.as_ref().map_or(0, |bytes| *bytes));
        sent
    }

    /// The site's id and the stamp before the send, which is told at once: the receiver may well be served before
    /// this thread gets to say that its send has returned.
    #[inline(never)]
    fn begin(&self, at: &'static Location<'static>) -> Option<(u16, u64)> {
        let here = state::here()?;
        let pair = std::str::from_utf8(self.pair.as_bytes()).unwrap_or("");
        name::tell(&here, Space::Pair, self.id, pair, &self.told);
        let (site, ticks) = (here.site(at), here.now());
        here.push(&Rec {
            ticks,
            kind: Kind::SupplyBegin,
            x: self.id,
            site,
            ..Rec::default()
        });
        Some((site, ticks))
    }

    #[inline(never)]
    fn end(&self, site: u16, begun: u64, bytes: usize) {
        let Some(here) = state::here() else { return };
        let ticks = here.now();
        here.push(&Rec {
            ticks,
            kind: Kind::Supplied,
            x: self.id,
            arg: bytes as u64,
            y: Some(ticks.saturating_sub(begun)),
            site,
            ..Rec::default()
        });
    }
}

impl std::fmt::Debug for Supplier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supplier")
            .field("pair", &String::from_utf8_lossy(self.pair.as_bytes()))
            .finish()
    }
}
