//! Signals to a recorder whose child has the terminal: ^C is the child's, TERM, HUP and QUIT are passed on to it, a
//! second one ends the recording at once. A file that may not grow (ulimit -f) is no reason to die. Step: none of the pipeline; it ends it.

use crate::capture::control::{ChildState, Control};
use crate::capture::session::Teller;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::time::{Duration, Instant};

/// A sender like timeout(1) signals us and our whole group: what comes this soon after the first is the same wish.
const SAME_WISH: Duration = Duration::from_millis(300);

/// Takes them from here on: before the program starts, for one that comes while it does must not be the end of us. They wait
/// until they are handled.
pub fn catch() -> io::Result<Signals> {
    // What nohup or a background job ignores stays ignored: a handler would make the child lose that.
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXFSZ]
        .into_iter()
        .filter(|s| !is_ignored(*s));
    Signals::new(wanted)
}

/// Handles them until the handle is closed.
pub fn handle(mut signals: Signals, control: Control, teller: Teller) -> io::Result<Handle> {
    let handle = signals.handle();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                let child_lives = matches!(control.child(), ChildState::Running { .. });
                if signal == SIGXFSZ || signal == SIGINT && child_lives {
                    continue;
                }
                match first {
                    Some(at) if at.elapsed() >= SAME_WISH => teller.finish(),
                    Some(_) => {}
                    None if child_lives => {
                        first = Some(Instant::now());
                        control.signal(signal);
                    }
                    // Those the child left behind are not ours to end.
                    None => teller.finish(),
                }
            }
        })?;
    Ok(handle)
}

/// Nobody is left to pass them on to: ^C and TERM end us again, whatever we wait for.
pub fn let_go() {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        // SAFETY: asks for the kernel's own way with a signal; a handler that is replaced so is one of signal_hook's, which
        // allows for that. What is ignored stays so.
        unsafe {
            if !is_ignored(signal) {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: zero is a valid sigaction; a null new action only asks.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}
