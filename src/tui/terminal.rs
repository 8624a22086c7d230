//! The terminal as a resource: raw mode, alternate screen, and the way back on every exit: return, error, panic of
//! any thread, signal, suspension.

use std::io::{self, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Whether the terminal is in our hands. AcqRel swaps: whoever takes the flag down restores, exactly once.
static HELD: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();
/// Held while a frame is written, so that a thread that panics does not restore the terminal in the midst of one.
static WRITING: Mutex<()> = Mutex::new(());
/// How long it waits for that: a frame that takes longer stands still, as at a terminal stopped by ^S.
const WRITING_PATIENCE: Duration = Duration::from_millis(500);

/// The terminal in raw mode on its alternate screen, until dropped.
///
/// Frames are compared here and not by ratatui's own `Terminal`: that one asks the terminal where its cursor is whenever
/// the size changes, and the answer would go to the keyboard thread.
pub struct Terminal {
    backend: CrosstermBackend<io::BufWriter<Stdout>>,
    /// What the screen shows; of another size than the screen when nobody knows.
    shown: Buffer,
}

impl Terminal {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(chain_panic_hook);
        enter()?;
        let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
        Ok(Terminal {
            backend: CrosstermBackend::new(out),
            shown: Buffer::default(),
        })
    }

    /// Its size now.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }

    /// Shows a frame; only what differs from the last one is written, in one synchronized update. Nothing once another
    /// thread has given the terminal back.
    pub fn show(
        &mut self,
        (width, height): (u16, u16),
        draw: impl FnOnce(&mut Buffer),
    ) -> io::Result<()> {
        let mut frame = Buffer::empty(Rect::new(0, 0, width, height));
        draw(&mut frame);
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        if !HELD.load(Ordering::Acquire) {
            return Ok(());
        }
        queue!(self.backend, BeginSynchronizedUpdate)?;
        if self.shown.area != frame.area {
            queue!(self.backend, Clear(ClearType::All))?;
            self.shown = Buffer::empty(frame.area);
        }
        self.backend.draw(self.shown.diff(&frame).into_iter())?;
        self.shown = frame;
        execute!(self.backend, EndSynchronizedUpdate)
    }

    /// The frame last shown.
    pub fn shown(&self) -> &Buffer {
        &self.shown
    }

    /// Forgets what the screen shows: the next frame is written whole.
    pub fn forget(&mut self) {
        self.shown = Buffer::default();
    }

    /// Puts text on the clipboard of the terminal in front of the person, also over ssh (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.backend, CopyToClipboard::to_clipboard_from(text))
    }

    /// Gives the terminal back, stops us as ^Z does, and takes it again when somebody continues us.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        // Stops the whole process; it returns after SIGCONT.
        signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
        self.resume()
    }

    /// Takes the terminal again after a stop we did not see coming.
    pub fn resume(&mut self) -> io::Result<()> {
        restore();
        self.forget();
        enter()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    HELD.store(true, Ordering::Release);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        Hide
    )
    .inspect_err(|_| restore())
}

/// Gives the terminal back if we hold it. Errors are passed over: a terminal that is gone needs no restoring.
pub fn restore() {
    if HELD.swap(false, Ordering::AcqRel) {
        let mut out = io::stdout();
        let _ = execute!(
            out,
            EndSynchronizedUpdate,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// A panic of any thread first gives the terminal back, then is reported as usual, then ends the UI.
fn chain_panic_hook() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let held = HELD.load(Ordering::Acquire);
        // The panic may come from within the writing itself: never wait for ever.
        let patience = Instant::now() + WRITING_PATIENCE;
        let mut writing = WRITING.try_lock();
        while held && matches!(writing, Err(TryLockError::WouldBlock)) && Instant::now() < patience
        {
            std::thread::sleep(Duration::from_millis(1));
            writing = WRITING.try_lock();
        }
        restore();
        next(info);
        if held {
            super::event::send(super::event::Event::Panicked);
        }
    }));
}
