//! Lines a person types, the questions on leaving, and the command that shows this very view. Step: model → **view**.

use super::{App, Mode};
use crate::trace::Error;
use crate::tui::filter::Filter;
use crate::tui::live::Live;
use crate::tui::message::{Ask, Leave};
use crate::tui::player::Player;
use tui_input::Input;

impl App {
    pub(super) fn ask(&mut self, ask: Ask, text: String) {
        self.mode = Mode::Asking(ask);
        self.input = Input::new(text);
        self.scroll = 0;
        self.wrong = None;
    }

    pub(super) fn edited(&mut self) {
        self.scroll = 0;
        self.wrong = match self.mode {
            Mode::Asking(Ask::Filter) => Filter::check(self.input.value()),
            _ => None,
        };
    }

    pub(super) fn answer(&mut self) -> Result<(), Error> {
        let Mode::Asking(ask) = self.mode else {
            return Ok(());
        };
        let text = self.input.value().trim().to_owned();
        match ask {
            Ask::Filter if text.is_empty() => self.filter = None,
            Ask::Filter => match Filter::parse(&text) {
                Ok(filter) => self.filter = Some(filter),
                Err(wrong) => {
                    self.wrong = Some(wrong);
                    return Ok(());
                }
            },
            Ask::Time => match self.instant(&text)? {
                Ok(t) => self.travel(|p| match t {
                    crate::tui::when::To::Time(t) => p.seek(t),
                    crate::tui::when::To::Event(n) => p.seek_event(n + 1),
                })?,
                Err(why) => match self.past_the_end(&text) {
                    Some(beyond) => {
                        self.travel(Player::seek_end)?;
                        self.go_beyond(beyond);
                    }
                    None => {
                        self.wrong = Some((why, 0));
                        return Ok(());
                    }
                },
            },
            Ask::Palette => {
                let found = crate::tui::view::palette::matches(self)
                    .into_iter()
                    .nth(self.scroll);
                self.mode = Mode::Normal;
                return match found {
                    Some(action) => self.update((action.messages)(0)),
                    None => Ok(()),
                };
            }
            Ask::Save => {
                let saved = match &self.live {
                    Some(live) if !text.is_empty() => live.control.save_as(text.as_ref()),
                    _ => Ok(()),
                };
                if let Err(error) = saved {
                    self.wrong = Some((format!("cannot create {text}: {error}"), 0));
                    return Ok(());
                }
                self.left_with = Some(Leave::Now);
            }
        }
        self.mode = Mode::Normal;
        Ok(())
    }

    pub(super) fn instant(
        &mut self,
        text: &str,
    ) -> Result<Result<crate::tui::when::To, String>, Error> {
        crate::tui::when::resolve(&mut self.player, text)
    }

    pub(super) fn quit(&mut self) {
        if self.live.as_ref().is_some_and(Live::is_running) {
            self.mode = Mode::Leaving;
        } else {
            self.leave(Leave::Now);
        }
    }

    pub(super) fn leave(&mut self, answer: Leave) {
        match (answer, &self.live) {
            (Leave::Cancel, _) => {
                self.mode = Mode::Normal;
                return;
            }
            (Leave::Leave, Some(live)) => live.control.leave(),
            (Leave::End, Some(live)) => live.control.end(),
            _ => {}
        }
        if self.live.as_ref().is_some_and(|l| l.control.unsaved()) {
            self.ask(Ask::Save, String::new());
        } else {
            self.left_with = Some(answer);
        }
    }

    /// The command that shows this very view.
    pub fn command(&self) -> String {
        let mut words = vec![
            "loopscope".to_owned(),
            "replay".to_owned(),
            shell(&self.options.name),
        ];
        // Down to the event: several may share an instant.
        words.push(format!(
            "--at event:{}",
            self.player.next().saturating_sub(1)
        ));
        words.push(format!("--view {}", self.view.name()));
        let other = self.options.beside.as_ref();
        if let Some(other) = other.filter(|o| self.beside.is_some() && o.keep.is_none()) {
            words.push(format!("--beside {}", shell(&other.name)));
        }
        if let Some(reg) = self.chosen() {
            words.push(format!("--fd {}", reg.fd));
        }
        if let Some(filter) = &self.filter {
            words.push(format!("--filter {}", shell(&filter.text)));
        }
        words.join(" ")
    }
}

/// A word for the shell, quoted if it must be.
fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
