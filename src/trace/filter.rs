//! What a page's header says of its events: when, which loops, descriptors and data words. Step: **trace**.

use super::page::PageHeader;
use crate::record::event::{BY_FD, Event, Kind};

/// The bit of a data word in the data word filter.
pub(crate) fn word_bit(word: u64) -> u128 {
    1 << (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57)
}

/// The bit of a descriptor in the fd filter.
pub(crate) fn fd_bit(fd: i32) -> u128 {
    if fd < 0 { 0 } else { 1 << (fd % 128) }
}

/// The bit of a loop in the loop set.
pub(crate) fn loop_bit(epfd: i32) -> u64 {
    if epfd < 0 { 1 << 63 } else { 1 << (epfd % 63) }
}

/// A header with the time range and the filters of a run of events.
pub(crate) fn ranges(events: &[Event]) -> PageHeader {
    let mut header = PageHeader {
        t_first: u64::MAX,
        ..PageHeader::default()
    };
    for e in events {
        header.t_first = header.t_first.min(e.t);
        header.t_last = header.t_last.max(e.t);
        match e.kind {
            Kind::WaitEnter | Kind::WaitExit | Kind::RunEnd => header.loops |= loop_bit(e.fd),
            Kind::RunBegin if e.aux == BY_FD => {
                header.loops |= loop_bit(e.fd);
                header.fds |= i32::try_from(e.arg).map_or(0, fd_bit);
            }
            Kind::Ready | Kind::RunBegin | Kind::Handler => {
                header.loops |= loop_bit(e.fd);
                header.words |= word_bit(e.arg);
            }
            Kind::CtlBegin | Kind::CtlEnd | Kind::RegSeen | Kind::RegGone => {
                header.loops |= loop_bit(e.y as i32);
                header.fds |= fd_bit(e.fd);
                header.words |= word_bit(e.arg);
            }
            Kind::DupBegin | Kind::DupEnd | Kind::FdOpen => {
                header.fds |= fd_bit(e.fd) | fd_bit(e.x)
            }
            _ => header.fds |= fd_bit(e.fd),
        }
    }
    header
}
