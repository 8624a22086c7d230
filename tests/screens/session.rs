//! A scripted session: an app over a made-up recording, keys in, frames out, no terminal.

use crate::greedy::{self, Script};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use loopscope::export::{picture, svg};
use loopscope::record::event::{Event, Kind};
use loopscope::trace::{Events, Reader, Writer};
use loopscope::tui::{self, App, Look, Options, Source, keymap};
use ratatui::buffer::Buffer;
use std::path::{Path, PathBuf};

pub struct Session {
    pub app: App,
    pub size: (u16, u16),
    _place: tempfile::TempDir,
    /// Of a recording that still grows.
    pub writer: Option<Writer>,
}

impl Session {
    pub fn new(script: Script, width: u16, height: u16) -> Self {
        Self::with(script, width, height, Look::default())
    }

    pub fn with(script: Script, width: u16, height: u16, look: Look) -> Self {
        Self::of(
            |path| {
                greedy::grow(path, script).finish().unwrap();
            },
            "greedy-fd broken",
            (width, height),
            look,
        )
    }

    /// Of any recording that `write` makes.
    pub fn of(write: impl FnOnce(&Path), name: &str, size: (u16, u16), look: Look) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("it.lscope");
        write(&path);
        Self::open(place, path, None, name, size, look)
    }

    /// At the end of a recording that still grows.
    pub fn live(script: Script, width: u16, height: u16) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("it.lscope");
        let writer = Some(greedy::grow(&path, script));
        let (size, look) = ((width, height), Look::default());
        Self::open(place, path, writer, "greedy-fd broken", size, look)
    }

    fn open(
        place: tempfile::TempDir,
        path: PathBuf,
        writer: Option<Writer>,
        name: &str,
        size: (u16, u16),
        look: Look,
    ) -> Self {
        let follow = writer.is_some();
        let source = Source::Replay { path, follow };
        let options = Options {
            name: name.into(),
            at: (!follow).then(|| "0s".parse().unwrap()),
            picture: Some(svg::to_svg),
            ..Options::default()
        };
        let app = App::open(&source, options, look).unwrap().unwrap();
        Session {
            app,
            size,
            _place: place,
            writer,
        }
    }

    pub fn frame(&mut self) -> Buffer {
        tui::frame(&mut self.app, self.size.0, self.size.1).unwrap()
    }

    pub fn text(&mut self) -> String {
        picture::to_text(&self.frame())
    }

    pub fn svg(&mut self) -> String {
        svg::to_svg(&self.frame())
    }

    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        if let Some(message) = keymap::message(&self.app, KeyEvent::new(code, modifiers)) {
            self.app.update(message).unwrap();
        }
        self.frame();
    }

    /// Types characters; `\n` is Enter, `\x1b` is Esc.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '→' => KeyCode::Right,
                '←' => KeyCode::Left,
                '↓' => KeyCode::Down,
                '↑' => KeyCode::Up,
                c => KeyCode::Char(c),
            };
            self.key(code, KeyModifiers::NONE);
        }
        self
    }

    pub fn go(&mut self, to: &str) -> &mut Self {
        self.keys("t").keys(to).keys("\n")
    }

    /// What the loop of a growing recording did in its second half it does again, so much later.
    pub fn again(&mut self, later: u64) -> &mut Self {
        let path = self._place.path().join("it.lscope");
        let mut reader = Reader::open(&path).unwrap();
        let writer = self.writer.as_mut().unwrap();
        let (mut events, half) = (Events::default(), reader.duration_ns() / 2);
        let mut begun = false;
        for page in 0..reader.pages().len() {
            reader.read_page(page, &mut events).unwrap();
            for (_, e, text) in events.iter() {
                begun |= e.t > half && e.kind == Kind::WaitEnter;
                let t = e.t + later;
                if begun {
                    writer.write(&Event { t, ..*e }, text);
                }
            }
        }
        writer.seal();
        self
    }
}
