//! Two things worked out at the same time. Step: **model**.

use std::panic::resume_unwind;
use std::thread::{self, Builder, ScopedJoinHandle};

/// Works out `a` on a thread of its own, where there is one to be had, and `b` here.
pub fn both<A: Send, B>(a: impl Fn() -> A + Sync, b: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let beside = Builder::new().spawn_scoped(scope, &a);
        let b = b();
        let a = match beside.map(ScopedJoinHandle::join) {
            Ok(Ok(a)) => a,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => a(),
        };
        (a, b)
    })
}
