//! A program in a real pseudo-terminal, its screen kept by a terminal emulator: type, wait for a text, look.

use pty_process::blocking::{Command, Pts, Pty};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A test that waits longer than this has failed; nothing passes by waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the reader thread and the test share: the emulated screen and every byte that made it.
struct Shared {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    ended: bool,
}

/// A running program and its terminal.
pub struct Screen {
    child: Child,
    master: Option<Arc<Pty>>,
    /// Kept open so that the terminal's settings can be read after the program has ended.
    slave: Pts,
    slave_fd: OwnedFd,
    before: libc::termios,
    shared: Arc<(Mutex<Shared>, Condvar)>,
    stop: OwnedFd,
    reader: Option<JoinHandle<()>>,
}

impl Screen {
    /// The binary under test on a terminal of `width` × `height`.
    pub fn launch(args: &[&str], width: u16, height: u16) -> Screen {
        let command = Command::new(env!("CARGO_BIN_EXE_loopscope")).args(args);
        Self::spawn(command, width, height)
    }

    /// Any program.
    pub fn spawn(command: Command, width: u16, height: u16) -> Screen {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(height, width)).unwrap();
        let slave_fd = open_slave(&pty);
        let before = termios(&slave_fd);
        let mut command = command
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env_remove("NO_COLOR");
        let child = command.spawn_borrowed(&pts).unwrap();
        let (rows, cols) = (
            NonZeroU16::new(height).unwrap(),
            NonZeroU16::new(width).unwrap(),
        );
        let parser = vt100::Parser::new(rows, cols, 0);
        let shared = Arc::new((
            Mutex::new(Shared {
                parser,
                bytes: Vec::new(),
                ended: false,
            }),
            Condvar::new(),
        ));
        let (stopped, stop) = std::io::pipe().unwrap();
        let master = Arc::new(pty);
        let reader = std::thread::spawn({
            let (master, shared) = (master.clone(), shared.clone());
            move || read_screen(&master, &shared, &stopped.into())
        });
        Screen {
            child,
            master: Some(master),
            slave: pts,
            slave_fd,
            before,
            shared,
            stop: stop.into(),
            reader: Some(reader),
        }
    }

    /// Types.
    pub fn send(&self, keys: impl AsRef<[u8]>) -> &Self {
        let master = self.master.as_ref().expect("hung up");
        (&**master).write_all(keys.as_ref()).unwrap();
        self
    }

    /// Waits until the screen satisfies `look` and returns its text.
    #[track_caller]
    pub fn wait_until(&self, what: &str, look: impl Fn(&vt100::Screen) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (lock, changed) = &*self.shared;
        let mut shared = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if look(shared.parser.screen()) {
                return shared.parser.screen().contents();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let picture = shared.parser.screen().contents();
            assert!(
                !shared.ended,
                "ended while waiting for {what}; the screen:\n{picture}"
            );
            assert!(
                !left.is_zero(),
                "no {what} within {PATIENCE:?}; the screen:\n{picture}"
            );
            shared = changed
                .wait_timeout(shared, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until this text stands on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("`{text}`"), |screen| {
            screen.contents().contains(text)
        })
    }

    /// Another terminal size, as a person dragging the window's corner.
    pub fn resize(&self, width: u16, height: u16) -> &Self {
        let (rows, cols) = (
            NonZeroU16::new(height).unwrap(),
            NonZeroU16::new(width).unwrap(),
        );
        self.shared
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(rows, cols);
        let master = self.master.as_ref().expect("hung up");
        master
            .resize(pty_process::Size::new(height, width))
            .unwrap();
        self
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) -> &Self {
        // SAFETY: sends a signal to our own child, which has not been waited for yet.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
        self
    }

    /// Closes the terminal under the program, as when a window or an ssh connection goes away.
    pub fn hang_up(&mut self) {
        self.stop_reading();
        self.slave = spare_slave();
        self.slave_fd = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        self.master = None;
    }

    /// Waits for the program's end (a program that does not end fails the test) and returns its code, 128+N for a signal.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            // Waiting blocks without a time-out, so look every now and then.
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "still running; the screen:\n{}",
                self.contents()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        self.stop_reading();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }

    pub fn contents(&self) -> String {
        locked(&self.shared).parser.screen().contents()
    }

    /// Every byte the program wrote.
    pub fn bytes(&self) -> Vec<u8> {
        locked(&self.shared).bytes.clone()
    }

    /// Asserts that the terminal is as it was: settings, main screen, cursor, mouse and paste modes.
    #[track_caller]
    pub fn assert_intact(&self) {
        let after = termios(&self.slave_fd);
        let flags = |t: &libc::termios| (t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_cc);
        assert_eq!(
            flags(&after),
            flags(&self.before),
            "terminal settings changed"
        );
        let shared = locked(&self.shared);
        let screen = shared.parser.screen();
        assert!(!screen.alternate_screen(), "still on the alternate screen");
        assert!(!screen.hide_cursor(), "cursor still hidden");
        assert!(!screen.bracketed_paste(), "bracketed paste still on");
        assert_eq!(
            screen.mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "mouse still captured"
        );
    }

    fn stop_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            // SAFETY: writes one byte from a live buffer to a pipe this struct owns.
            unsafe { libc::write(self.stop.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
            reader.join().unwrap();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Only ever a child of this very test; it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stop_reading();
    }
}

/// A test that failed while it held the screen has said why; the others go on.
fn locked(shared: &(Mutex<Shared>, Condvar)) -> MutexGuard<'_, Shared> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_screen(master: &Pty, shared: &(Mutex<Shared>, Condvar), stopped: &OwnedFd) {
    let mut buffer = [0u8; 1 << 16];
    loop {
        let mut fds = [
            (master.as_raw_fd(), libc::POLLIN),
            (stopped.as_raw_fd(), libc::POLLIN),
        ]
        .map(|(fd, events)| libc::pollfd {
            fd,
            events,
            revents: 0,
        });
        // SAFETY: two valid pollfd for descriptors that live as long as the call.
        if unsafe { libc::poll(fds.as_mut_ptr(), 2, -1) } < 0 {
            continue;
        }
        let [screen, stop] = fds;
        if screen.revents != 0 {
            let Ok(n @ 1..) = (&mut &*master).read(&mut buffer) else {
                break;
            };
            let mut state = locked(shared);
            state.parser.process(&buffer[..n]);
            state.bytes.extend_from_slice(&buffer[..n]);
            shared.1.notify_all();
        } else if stop.revents != 0 {
            // Everything written so far has been read: the pty had nothing more.
            break;
        }
    }
    locked(shared).ended = true;
    shared.1.notify_all();
}

fn termios(fd: &OwnedFd) -> libc::termios {
    // SAFETY: all zeroes is a valid termios, and tcgetattr fills it for a terminal that is open.
    unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        assert_eq!(
            libc::tcgetattr(fd.as_raw_fd(), &mut settings),
            0,
            "{}",
            std::io::Error::last_os_error()
        );
        settings
    }
}

/// A second descriptor of the terminal's program side.
fn open_slave(pty: &Pty) -> OwnedFd {
    let mut name = [0 as libc::c_char; 64];
    // SAFETY: the buffer is as long as said, and the name that comes back ends with NUL.
    unsafe {
        assert_eq!(
            libc::ptsname_r(pty.as_raw_fd(), name.as_mut_ptr(), name.len()),
            0
        );
        let path = std::ffi::CStr::from_ptr(name.as_ptr()).to_str().unwrap();
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        options.open(path).unwrap().into()
    }
}

/// Something to put where a slave was: another terminal's.
fn spare_slave() -> Pts {
    pty_process::blocking::open().unwrap().1
}
