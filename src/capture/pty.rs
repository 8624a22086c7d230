//! The child's terminal: a pty whose output goes to the recording and to a screen we can draw.
//! Step: **event → ring** for `Output` events; the pane that draws the screen is the UI's.

use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub cols: u16,
}

impl Size {
    /// As an `Output` event carries it in `x`: rows in the upper half, columns in the lower.
    pub fn packed(self) -> i32 {
        i32::from(self.rows) << 16 | i32::from(self.cols)
    }

    /// Back from an `Output` event; nothing for 0 by 0.
    pub fn unpack(x: i32) -> Option<Size> {
        let (rows, cols) = ((x >> 16) as u16, x as u16);
        (rows > 0 && cols > 0).then_some(Size { rows, cols })
    }
}

impl Default for Size {
    fn default() -> Self {
        Size { rows: 24, cols: 80 }
    }
}

/// A screen has at least one cell.
fn some(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}

/// Keys wait here for a child that does not read; what does not fit is refused, the UI never blocks.
const KEYS_QUEUED: usize = 64;

/// The master side of a child's terminal.
#[derive(Debug)]
pub struct Pty {
    master: Arc<Master>,
    keys: SyncSender<Vec<u8>>,
}

struct Master {
    pty: pty_process::blocking::Pty,
    screen: Mutex<vt100::Parser>,
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Master")
    }
}

/// Starts a command in a new session whose controlling terminal is a new pty.
pub(super) fn spawn(mut command: Command, size: Size) -> io::Result<(Child, Pty)> {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure runs between fork and exec and only calls signal(2), which is async-signal-safe.
    unsafe { command.pre_exec(own_signals) };
    let (pty, pts) = pty_process::blocking::open().map_err(plain)?;
    pty.resize(pty_process::Size::new(size.rows, size.cols))
        .map_err(plain)?;
    let child = pty_process::blocking::Command::from(command)
        .spawn(pts)
        .map_err(plain)?;
    let (keys, queued) = sync_channel(KEYS_QUEUED);
    let master = Arc::new(Master {
        pty,
        screen: Mutex::new(vt100::Parser::new(some(size.rows), some(size.cols), 0)),
    });
    let typist = Arc::clone(&master);
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || type_keys(&typist, &queued))?;
    Ok((child, Pty { master, keys }))
}

/// A terminal of its own begins without what ours, a script's or nohup's, has the keys and the hang-up ignored for.
fn own_signals() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGHUP] {
        // SAFETY: sets the default action of a signal that has one.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    Ok(())
}

fn plain(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => io::Error::from_raw_os_error(error.raw_os_error()),
    }
}

fn type_keys(master: &Master, queued: &Receiver<Vec<u8>>) {
    while let Ok(bytes) = queued.recv() {
        if (&master.pty).write_all(&bytes).is_err() {
            return; // the child has closed its terminal
        }
    }
}

impl Pty {
    /// Another handle on the same terminal.
    pub fn handle(&self) -> Pty {
        Pty {
            master: Arc::clone(&self.master),
            keys: self.keys.clone(),
        }
    }

    /// The master's descriptor.
    pub fn master(&self) -> Dup<'_> {
        Dup(&self.master)
    }

    /// Types to the child; false if it has not read what was typed before.
    pub fn send(&self, bytes: &[u8]) -> bool {
        self.keys.try_send(bytes.to_vec()).is_ok()
    }

    /// Gives the terminal another size; the child gets a SIGWINCH.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        self.lock()
            .screen_mut()
            .set_size(some(size.rows), some(size.cols));
        (self.master.pty)
            .resize(pty_process::Size::new(size.rows, size.cols))
            .map_err(plain)
    }

    /// Its size now.
    pub fn size(&self) -> Size {
        let (rows, cols) = self.lock().screen().size();
        Size {
            rows: rows.get(),
            cols: cols.get(),
        }
    }

    /// Looks at the screen.
    pub fn with_screen<R>(&self, look: impl FnOnce(&vt100::Screen) -> R) -> R {
        look(self.lock().screen())
    }

    /// Reads what the child writes until no process holds its terminal any more, shows it on the screen and hands
    /// each piece on. Blocks: a thread of its own runs this.
    pub fn pump(&self, mut piece: impl FnMut(&[u8], Size)) {
        let mut buffer = [0; 4096];
        loop {
            match (&self.master.pty).read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => {
                    self.lock().process(&buffer[..n]);
                    piece(&buffer[..n], self.size());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // EIO is how Linux says that the last slave has closed.
                Err(_) => return,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, vt100::Parser> {
        // A panic in a look leaves the screen itself whole.
        self.master
            .screen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to duplicate the master's descriptor.
pub struct Dup<'a>(&'a Master);

impl Dup<'_> {
    /// A new descriptor for the same master.
    pub fn try_clone(&self) -> io::Result<OwnedFd> {
        use std::os::fd::AsFd;
        self.0.pty.as_fd().try_clone_to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> (Child, Pty) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        spawn(command, Size { rows: 10, cols: 40 }).unwrap()
    }

    fn drain(pty: &Pty) -> Vec<u8> {
        let mut all = Vec::new();
        pty.pump(|bytes, _| all.extend_from_slice(bytes));
        all
    }

    #[test]
    fn the_child_has_a_terminal_of_our_size_and_we_see_its_screen() {
        let (mut child, pty) =
            start("test -t 0 && test -t 1 && stty size && printf '\\033[1mbold'");
        let bytes = drain(&pty);
        assert!(child.wait().unwrap().success());
        assert!(bytes.starts_with(b"10 40\r\n"), "{bytes:?}");
        assert_eq!(pty.with_screen(|s| s.contents()), "10 40\nbold");
        assert!(pty.with_screen(|s| s.cell(1, 0).unwrap().bold()));
    }

    #[test]
    fn keys_reach_the_child_and_resizing_tells_it() {
        let (mut child, pty) = start("read answer; echo got $answer; stty size");
        pty.resize(Size { rows: 5, cols: 30 }).unwrap();
        assert!(pty.send(b"yes\r"));
        let text = String::from_utf8(drain(&pty)).unwrap();
        child.wait().unwrap();
        assert!(text.contains("got yes"), "{text}");
        assert!(text.contains("5 30"), "{text}");
    }

    #[test]
    fn control_c_typed_interrupts_the_child() {
        // exec: a shell that is about to fork keeps the signal to itself.
        let (mut child, pty) = start("echo ready; exec sleep 100");
        let mut seen = Vec::new();
        let keys = pty.handle();
        pty.pump(|bytes, _| {
            let before = seen.len();
            seen.extend_from_slice(bytes);
            if before == 0 {
                assert!(keys.send(b"\x03"));
            }
        });
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
    }

    #[test]
    fn sizes_travel_in_one_number() {
        let size = Size {
            rows: 60,
            cols: 200,
        };
        assert_eq!(Size::unpack(size.packed()), Some(size));
        assert_eq!(Size::unpack(0), None);
        let huge = Size {
            rows: u16::MAX,
            cols: u16::MAX,
        };
        assert_eq!(Size::unpack(huge.packed()), Some(huge));
    }
}
