//! Storing checkpoints and pyramid in a long recording, so that later looks cost little. Step: trace → **model**.

use super::progress::Progress;
use crate::derive;
use std::path::Path;

/// Folds a long recording once and stores what later looks need, with a progress bar. A recording that cannot be
/// written to is looked at all the same.
pub(super) fn index(path: &Path) {
    let mut bar = Progress::new("indexing, once");
    let told = derive::ensure(path, &mut |done, all| {
        bar.show(done as f64 / all.max(1) as f64);
        true
    });
    bar.clear();
    drop(told);
}
