//! Storing checkpoints and pyramid in a long recording, so that later looks cost little. Step: trace → **model**.

use super::progress::Progress;
use crate::derive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Folds a long recording once and stores what later looks need, with a progress bar; ^C ends that and nothing else.
/// A recording that cannot be written to is looked at all the same.
pub(super) fn index(path: &Path) {
    let stop = Arc::new(AtomicBool::new(false));
    // Should it fail, ^C ends the program, as ever.
    let handler = signal_hook::flag::register(libc::SIGINT, stop.clone());
    let mut bar = Progress::new("indexing, once (^C skips it)");
    // Failed, or stopped: later looks take longer.
    let _ = derive::ensure(path, &mut |done, all| {
        bar.show(done as f64 / all.max(1) as f64);
        // Pairs with the store in the signal's handler; nothing else is handed over.
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    if let Ok(id) = handler {
        signal_hook::low_level::unregister(id);
    }
}
