//! signals: a server reads its settings again when it is sent a signal. The handler of a signal may do next to nothing, so it sets
//! a flag, and the loop looks at the flag in every turn. A signal that comes while the loop sleeps ends the wait with EINTR,
//! the loop turns, looks, and reloads at once. That is what everybody tests. But between the look and the wait there is a
//! gap. A signal that falls into it sets the flag, and then the loop goes to sleep: there is nothing left to interrupt. The
//! settings are old until somebody says something. The gap is made 5 ms wide here; elsewhere it is narrow, and found at night.
//!
//! The repair: a signalfd. The signal is blocked, so it is kept; a descriptor is readable as long as it is pending, and the
//! loop asks for it like for any other. (epoll_pwait, which unblocks it during the wait only, or a pipe do the same.)

use loopscope::epoll::{Epoll, Events, Interest};
use loopscope::io::Traced;
use loopscope::{Recorder, Supplier, mark, task};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{median, ms};
use super::kit::{burn, start};
use super::{Claim, Knobs, Random, Seen};

/// The data words.
const ANN: u64 = 0;
const SIGNALS: u64 = 1;
/// What the loop does between its look at the flag and its wait.
const HOUSEKEEPING: Duration = Duration::from_millis(5);
/// A signal is sent so long after an answer: once into the gap, once when the loop has long been asleep.
const IN_THE_GAP: Duration = Duration::from_millis(2);
const ASLEEP: Duration = Duration::from_millis(25);
/// Then ann is silent for so long.
const SILENCE: Duration = Duration::from_millis(55);

/// What the handler sets: it interrupts anything, so it may call nearly nothing.
static RELOAD: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    RELOAD.store(true, Ordering::Relaxed);
}

/// When the last signal was sent: ann's lines until then, and microseconds since the begin.
#[derive(Default)]
struct Sent {
    lines: AtomicU64,
    us: AtomicU64,
}

/// Runs server, client and operator.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let ann = TcpStream::connect(listener.local_addr()?)?;
    let client = Traced::new(listener.accept()?.0);
    println!("ann asks, and an operator sends signals");
    let (begin, sent) = (Instant::now(), &Sent::default());
    let (time, random) = (knobs.time, Random::new(knobs.seed, 0));
    let signals = match knobs.fixed {
        true => Some(signalfd()?),
        false => {
            // SAFETY: the handler does nothing but store to an atomic.
            unsafe { libc::signal(libc::SIGUSR1, on_signal as *const () as libc::sighandler_t) };
            None
        }
    };
    // SAFETY: takes nothing and cannot fail.
    let server = unsafe { libc::pthread_self() };
    thread::scope(|scope| {
        start(scope, "ann", move || talk(ann, server, sent, begin, time, random))?;
        serve(client, signals, sent, begin)
    })
}

/// The event loop, until ann hangs up.
fn serve(
    mut ann: Traced<TcpStream>,
    signals: Option<OwnedFd>,
    sent: &Sent,
    begin: Instant,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    loopscope::name_loop(&epoll, "server");
    loopscope::name_fd(&ann, "ann");
    epoll.add(&ann, Interest::IN, ANN)?;
    if let Some(signals) = &signals {
        loopscope::name_fd(signals, "signals");
        epoll.add(signals, Interest::IN, SIGNALS)?;
    }
    let mut lines = 0;
    let reload = |lines: u64| {
        let after = lines - sent.lines.load(Ordering::Acquire);
        let us = begin.elapsed().as_micros() as u64 - sent.us.load(Ordering::Relaxed);
        mark!("reloaded", lines = after, us = us);
    };
    let mut events = Events::with_capacity(16);
    loop {
        if RELOAD.swap(false, Ordering::Relaxed) {
            reload(lines);
        }
        // The trap: the loop has looked. A signal that comes now sets the flag, and interrupts no wait.
        let housekeeping = task::begin("housekeeping", 0);
        burn(HOUSEKEEPING);
        drop(housekeeping);
        match epoll.wait(&mut events, None) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue, // a signal: look at the flag
            waited => waited?,
        }
        for event in &events {
            match (&signals, event.data()) {
                // As many bytes as tell of one signal. It was pending all the time, so the wait could not miss it.
                (Some(signals), SIGNALS) if loopscope::io::read(signals, &mut [0; 128])? > 0 => {
                    reload(lines);
                }
                _ if ann.read(&mut [0; 1])? == 0 => return Ok(()),
                _ => {
                    lines += 1;
                    ann.write_all(b".")?;
                }
            }
        }
    }
}

/// Blocks the signal in this thread, and gives a descriptor that is readable while it is pending.
fn signalfd() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call makes the set, the others use it; the descriptor is new and ours.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        match libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// ann, and the operator, in one thread: a line, its answer, and a while later a signal to the server's thread.
fn talk(
    mut ann: TcpStream,
    server: libc::pthread_t,
    sent: &Sent,
    begin: Instant,
    time: Duration,
    mut random: Random,
) -> io::Result<()> {
    let supplier = Supplier::new(&ann)?;
    let mut lines = 0;
    while begin.elapsed() < time {
        for (later, gap) in [(ASLEEP, 0_u64), (IN_THE_GAP, 1)] {
            supplier.supplied(|| ann.write(b"?"))?;
            ann.read_exact(&mut [0; 1])?;
            lines += 1;
            thread::sleep(later);
            sent.us.store(begin.elapsed().as_micros() as u64, Ordering::Relaxed);
            sent.lines.store(lines, Ordering::Release); // what was sent when, before it is
            mark!("signal", gap = gap);
            // SAFETY: the server's thread lives as long as ann's connection.
            unsafe { libc::pthread_kill(server, libc::SIGUSR1) };
            thread::sleep(SILENCE / 2);
            if RELOAD.load(Ordering::Relaxed) {
                mark!("still set");
            }
            thread::sleep(SILENCE / 2 + Duration::from_micros(random.below(5_000)));
        }
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    // Reloads at once, and those for which ann had to say something first; and how long the latter took.
    let reloads = |seen: &Seen| {
        let all = seen.marks.iter().filter(|mark| mark.name == "reloaded");
        let (late, now): (Vec<_>, Vec<_>) = all.partition(|mark| mark.number("lines") > 0);
        let us = late.iter().map(|mark| 1_000 * mark.number("us"));
        (now.len(), late.len(), median(us.collect()))
    };
    let ((now, late, took), (all, lost, _)) = (reloads(broken), reloads(fixed));
    let interrupted = broken.waits.iter().filter(|wait| wait.n < 0).count();
    vec![
        Claim::new(
            "a signal to a sleeping loop ends its wait, and is heard",
            format!("{interrupted} waits ended by a signal, {now} reloads at once"),
            interrupted > 0 && now > 0,
        ),
        Claim::new(
            "of the others, most are not heard before ann's next line",
            format!("{late}, half of them {} or more later", ms(took)),
            late > 0 && 4 * late >= now && took >= 40_000_000,
        ),
        Claim::new(
            "with a signalfd, every signal is heard without her",
            format!("{all}, and {lost} with her"),
            all > 0 && lost == 0,
        ),
    ]
}
