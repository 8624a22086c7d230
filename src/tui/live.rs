//! The recorded program while it lives: its terminal, its keys; and its terminal as recorded, at any cursor.
//! Step: trace → **view**.

use super::player::Player;
use crate::capture::control::{ChildState, Control};
use crate::capture::pty::Size;
use crate::record::event::Kind;
use crate::trace::Error;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A program we launched.
#[derive(Clone)]
pub struct Live {
    /// Its handle.
    pub control: Control,
}

impl Live {
    /// It has not ended.
    pub fn is_running(&self) -> bool {
        matches!(self.control.child(), ChildState::Running { .. })
    }

    /// It has a terminal of its own and lives.
    pub fn takes_keys(&self) -> bool {
        self.control.pty().is_some() && self.is_running()
    }

    /// Types a key; false if the program takes none now.
    pub fn type_key(&self, key: KeyEvent) -> bool {
        match self.takes_keys() {
            true => self.control.send(&bytes(key)),
            false => false,
        }
    }

    /// Gives its terminal the size of the pane it is drawn in.
    pub fn fit(&self, size: Size) {
        if self.takes_keys() && self.control.pty().is_some_and(|p| p.size() != size) {
            self.control.resize(size);
        }
    }
}

/// The size of the pane on a screen this large: without header, tabs, footer and outline.
pub fn pane(width: u16, height: u16) -> Size {
    Size {
        rows: height.saturating_sub(5).max(1),
        cols: width.saturating_sub(2).max(1),
    }
}

/// What a terminal sends for a key.
pub fn bytes(key: KeyEvent) -> Vec<u8> {
    let mut out = Vec::new();
    if key.modifiers.contains(KeyModifiers::ALT) {
        out.push(0x1b);
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char(c) if control => match c.to_ascii_uppercase() {
            c @ '@'..='_' => out.push(c as u8 & 0x1f),
            ' ' => out.push(0),
            '?' => out.push(0x7f),
            c => out.extend(c.to_string().bytes()),
        },
        KeyCode::Char(c) => out.extend(c.to_string().bytes()),
        KeyCode::Enter => out.push(b'\r'),
        KeyCode::Tab => out.push(b'\t'),
        KeyCode::BackTab => out.extend(b"\x1b[Z"),
        KeyCode::Backspace => out.push(0x7f),
        KeyCode::Esc => out.push(0x1b),
        KeyCode::Up => out.extend(b"\x1b[A"),
        KeyCode::Down => out.extend(b"\x1b[B"),
        KeyCode::Right => out.extend(b"\x1b[C"),
        KeyCode::Left => out.extend(b"\x1b[D"),
        KeyCode::Home => out.extend(b"\x1b[H"),
        KeyCode::End => out.extend(b"\x1b[F"),
        KeyCode::PageUp => out.extend(b"\x1b[5~"),
        KeyCode::PageDown => out.extend(b"\x1b[6~"),
        KeyCode::Insert => out.extend(b"\x1b[2~"),
        KeyCode::Delete => out.extend(b"\x1b[3~"),
        KeyCode::F(n @ 1..=4) => out.extend([0x1b, b'O', b'P' + n - 1]),
        KeyCode::F(n @ 5..=12) => {
            let code = [15, 17, 18, 19, 20, 21, 23, 24][usize::from(n) - 5];
            out.extend(format!("\x1b[{code}~").bytes());
        }
        _ => {}
    }
    out
}

/// Pages read in one go before the UI looks at the keyboard again.
const PAGES: usize = 40;

/// The recorded terminal at the cursor: every `Output` event before it, shown on a screen of the recorded size.
#[derive(Default)]
pub struct Output {
    parser: Option<vt100::Parser>,
    /// First event not looked at.
    next: u64,
    /// Some output has been met.
    pub any: bool,
}

impl Output {
    /// Brings it to the cursor; true while there is more to read.
    pub fn prepare(&mut self, player: &mut Player, live: Option<&Live>) -> Result<bool, Error> {
        // At the end of a live recording the terminal itself is shown.
        if live.is_some_and(|l| l.control.pty().is_some()) && player.at_end() {
            return Ok(false);
        }
        let to = player.next();
        if to < self.next {
            *self = Output::default();
        }
        let mut pages = 0;
        while self.next < to {
            if pages == PAGES {
                return Ok(true);
            }
            self.next = player.next_output(self.next);
            if self.next >= to {
                self.next = to;
                break;
            }
            pages += 1;
            let reader = player.reader_mut();
            let page = reader.page_of(self.next);
            let events = reader.page(page)?;
            let end = reader.pages().get(page).map_or(to, |p| p.events().end);
            for (n, event, text) in events.iter() {
                if n < self.next || n >= to || event.kind != Kind::Output {
                    continue;
                }
                self.any = true;
                let size = Size::unpack(event.x).unwrap_or_default();
                let parser = self.parser.get_or_insert_with(|| screen(size));
                let (rows, cols) = parser.screen().size();
                if (rows.get(), cols.get()) != (size.rows, size.cols) {
                    let (rows, cols) = non_zero(size);
                    parser.screen_mut().set_size(rows, cols);
                }
                parser.process(text);
            }
            self.next = end.min(to).max(self.next + 1);
        }
        Ok(false)
    }

    /// The screen, if anything was written.
    pub fn screen(&self) -> Option<&vt100::Screen> {
        self.parser.as_ref().map(vt100::Parser::screen)
    }
}

fn non_zero(size: Size) -> (std::num::NonZeroU16, std::num::NonZeroU16) {
    // A recording may claim any size; no terminal is larger than this.
    let some =
        |n: u16| std::num::NonZeroU16::new(n.clamp(1, 500)).unwrap_or(std::num::NonZeroU16::MIN);
    (some(size.rows), some(size.cols))
}

fn screen(size: Size) -> vt100::Parser {
    let (rows, cols) = non_zero(size);
    vt100::Parser::new(rows, cols, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_what_a_terminal_sends() {
        let sent = |code, modifiers| bytes(KeyEvent::new(code, modifiers));
        assert_eq!(sent(KeyCode::Char('c'), KeyModifiers::CONTROL), [3]);
        assert_eq!(sent(KeyCode::Char('é'), KeyModifiers::NONE), "é".as_bytes());
        assert_eq!(sent(KeyCode::Char('x'), KeyModifiers::ALT), b"\x1bx");
        assert_eq!(sent(KeyCode::F(1), KeyModifiers::NONE), b"\x1bOP");
        assert_eq!(sent(KeyCode::F(12), KeyModifiers::NONE), b"\x1b[24~");
        assert_eq!(sent(KeyCode::Enter, KeyModifiers::NONE), b"\r");
    }
}
