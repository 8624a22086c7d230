//! What wakes the UI: one closed enum, one channel, and the threads that feed it. None of them ever polls: with
//! nothing to tell, nothing wakes.
//!
//! ```text
//! keyboard thread  --Key, Paste, Resize-->  main loop
//! signal thread    --Ended, Resumed, Suspend-->  main loop
//! watchdog thread  --HungUp-->  main loop
//! collector        --Data-->  main loop
//! ```

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use std::io::IsTerminal;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use crossterm::event::KeyEvent;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize,
    /// The recording has grown, or the program has ended.
    Data,
    /// Places that the screen was drawn without have been found.
    Places,
    /// We were stopped and run again: the terminal may look like anything.
    Resumed,
    /// Somebody asked us to stop (SIGTSTP from outside).
    Suspend,
    /// A signal asks us to end.
    Ended(i32),
    /// The terminal is gone.
    HungUp,
    /// A thread of ours panicked.
    Panicked,
}

/// Where the threads send; replaced when another screen takes over.
static TARGET: Mutex<Option<Sender<Event>>> = Mutex::new(None);
static THREADS: Once = Once::new();

fn target() -> MutexGuard<'static, Option<Sender<Event>>> {
    TARGET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends to whoever listens now.
pub fn send(event: Event) {
    if let Some(to) = target().as_ref() {
        // A listener that has just gone needs no event.
        let _ = to.send(event);
    }
}

/// From now on events go to `to`. The threads start with the first call and live as long as the process.
pub fn listen(to: Sender<Event>) {
    *target() = Some(to);
    THREADS.call_once(|| {
        // Here and not in the thread: a signal that comes right after the first frame must find its handler.
        if let Ok(signals) = Signals::new(SIGNALS) {
            spawn("signals", move || forward(signals));
        }
        spawn("keyboard", keyboard);
        if let Some(tty) = tty() {
            spawn("watchdog", move || watchdog(&tty));
        }
    });
}

/// Nobody listens any more.
pub fn deafen() {
    *target() = None;
}

/// A waker for the collector: many calls before the UI looks make one event.
pub fn data_waker() -> (impl Fn() + Send + Sync + 'static, Arc<AtomicBool>) {
    let pending = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&pending);
    let wake = move || {
        // AcqRel: pairs with the main loop's Release store before it reads the file.
        if !flag.swap(true, Ordering::AcqRel) {
            send(Event::Data);
        }
    };
    (wake, pending)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work);
    if started.is_err() {
        // Without its keyboard or its watchdog the UI could not be left: end it.
        send(Event::HungUp);
    }
}

fn keyboard() {
    use crossterm::event::{Event as Input, KeyEventKind, read};
    loop {
        match read() {
            Ok(Input::Key(key)) if key.kind != KeyEventKind::Release => send(Event::Key(key)),
            Ok(Input::Paste(text)) => send(Event::Paste(text)),
            Ok(Input::Resize(..)) => send(Event::Resize),
            Ok(_) => {}
            Err(_) => {
                send(Event::HungUp);
                return;
            }
        }
    }
}

/// The last: crossterm hears of a new size too, but only once its reader waits.
const SIGNALS: [i32; 7] = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGCONT, SIGTSTP, SIGWINCH];

fn forward(mut signals: Signals) {
    for signal in signals.forever() {
        match signal {
            SIGCONT => send(Event::Resumed),
            SIGTSTP => send(Event::Suspend),
            SIGWINCH => send(Event::Resize),
            other => send(Event::Ended(other)),
        }
    }
}

/// The terminal the keyboard is read from, as crossterm chooses it.
fn tty() -> Option<OwnedFd> {
    use std::os::fd::AsFd;
    let stdin = std::io::stdin();
    match stdin.is_terminal() {
        true => stdin.as_fd().try_clone_to_owned().ok(),
        false => std::fs::File::open("/dev/tty").ok().map(OwnedFd::from),
    }
}

/// Blocks until the terminal hangs up. crossterm's reader spins for ever then, and SIGHUP does not always come
/// (a parent may ignore it for us), so nothing else would end us.
fn watchdog(tty: &OwnedFd) {
    loop {
        let mut fd = libc::pollfd {
            fd: tty.as_raw_fd(),
            events: 0,
            revents: 0,
        };
        // SAFETY: one valid pollfd that lives as long as the call; the descriptor is ours.
        let n = unsafe { libc::poll(&mut fd, 1, -1) };
        let interrupted =
            || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
        if n < 0 && interrupted() {
            continue;
        }
        send(Event::HungUp);
        return;
    }
}
