//! The terminal as a resource: raw mode, alternate screen, and the way back on every exit: return, error, panic of
//! any thread, signal, suspension.

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal as Screen;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Whether the terminal is in our hands. AcqRel swaps: whoever takes the flag down restores, exactly once.
static HELD: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal in raw mode on its alternate screen, until dropped.
pub struct Terminal {
    screen: Screen<CrosstermBackend<io::BufWriter<Stdout>>>,
}

impl Terminal {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        HOOK.call_once(chain_panic_hook);
        enter()?;
        let out = io::BufWriter::with_capacity(1 << 16, io::stdout());
        let screen = Screen::new(CrosstermBackend::new(out)).inspect_err(|_| restore())?;
        Ok(Terminal { screen })
    }

    /// Its size now.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        crossterm::terminal::size()
    }

    /// Shows a frame; only what differs from the last one is written, in one synchronized update.
    pub fn show(&mut self, draw: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        queue!(self.screen.backend_mut(), BeginSynchronizedUpdate)?;
        self.screen.draw(|frame| {
            let area = frame.area();
            draw(area, frame.buffer_mut());
        })?;
        execute!(self.screen.backend_mut(), EndSynchronizedUpdate)
    }

    /// Forgets what the screen shows: the next frame is written whole.
    pub fn forget(&mut self) -> io::Result<()> {
        self.screen.clear()
    }

    /// Puts text on the clipboard of the terminal in front of the person, also over ssh (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(
            self.screen.backend_mut(),
            CopyToClipboard::to_clipboard_from(text)
        )
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
        enter()?;
        self.forget()
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
        restore();
        next(info);
        if held {
            super::event::send(super::event::Event::Panicked);
        }
    }));
}
