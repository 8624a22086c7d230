//! Calls that may take long, by name. Step: **event** → ring.

use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;

use super::state;
use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;

/// Makes a call that may take long and records when it began and ended.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let file = tempfile::tempfile()?;
/// loopscope::call("fsync", || file.sync_all())?;
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn call<T>(name: &'static str, f: impl FnOnce() -> T) -> T {
    if !state::is_on() {
        return f();
    }
    around(-1, name, Location::caller(), f)
}

/// [`call`] for a call on a descriptor.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let file = tempfile::tempfile()?;
/// loopscope::call_on(&file, "fsync", || file.sync_all())?;
/// # Ok(())
/// # }
/// ```
#[inline]
#[track_caller]
pub fn call_on<T>(fd: &impl AsRawFd, name: &'static str, f: impl FnOnce() -> T) -> T {
    if !state::is_on() {
        return f();
    }
    around(fd.as_raw_fd(), name, Location::caller(), f)
}

fn around<T>(
    fd: RawFd,
    name: &'static str,
    at: &'static Location<'static>,
    f: impl FnOnce() -> T,
) -> T {
    /// Ends the call also when it unwinds.
    struct End(RawFd, &'static str);
    impl Drop for End {
        fn drop(&mut self) {
            push(Kind::CallEnd, self.0, self.1, None);
        }
    }
    push(Kind::CallBegin, fd, name, Some(at));
    let _end = End(fd, name);
    f()
}

#[inline(never)]
fn push(kind: Kind, fd: RawFd, name: &'static str, at: Option<&'static Location<'static>>) {
    let Some(here) = state::here() else { return };
    let x = here.name(Space::Call, name);
    let site = at.map_or(0, |at| here.site(at));
    here.push(&Rec {
        ticks: here.now(),
        kind,
        fd,
        x,
        site,
        ..Rec::default()
    });
}
