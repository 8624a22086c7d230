//! The start screen: what `loopscope` without arguments offers. Step: none of the pipeline.

use super::event::{self, Event};
use super::terminal::Terminal;
use super::theme::{self, Look};
use super::widget::boxes;
use super::widget::pen::Pen;
use super::widget::text;
use crossterm::event::{KeyCode, KeyModifiers};
use ratatui::buffer::Buffer;
use std::sync::mpsc::channel;

/// Something to start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The heading it stands under.
    pub group: &'static str,
    /// Its name.
    pub name: String,
    /// One line about it.
    pub about: String,
    /// The command that does the same.
    pub command: String,
    /// The one that shows it repaired, where there is such a thing.
    pub repaired: Option<String>,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which entry.
    pub entry: usize,
    /// Its repaired form.
    pub repaired: bool,
}

/// Draws the list with one entry chosen.
pub fn draw(entries: &[Entry], chosen: usize, look: Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut pen = Pen::new(buffer, area);
    pen.clear();
    let (w, h) = (pen.width(), pen.height());
    if w < 40 || h < 10 {
        pen.put(0, 0, "too small: resize, or q quits", theme::strong());
        return look.finish(buffer);
    }
    boxes::outline(&mut pen, theme::quiet());
    boxes::title(
        &mut pen,
        1,
        0,
        w - 2,
        "loopscope: an oscilloscope for event loops",
        theme::strong(),
    );
    pen.put(
        2,
        1,
        "who was served, who waited, behind whom, and why",
        theme::quiet(),
    );
    let name_w = entries
        .iter()
        .map(|e| text::width(&e.name))
        .max()
        .unwrap_or(0)
        .clamp(8, w / 3);
    // Lines: a heading before each group, then its entries.
    let mut lines: Vec<(Option<usize>, String)> = Vec::new();
    let mut group = "";
    for (i, entry) in entries.iter().enumerate() {
        if entry.group != group {
            if !lines.is_empty() {
                lines.push((None, String::new()));
            }
            group = entry.group;
            lines.push((None, group.to_owned()));
        }
        let about = crate::text::visible(&entry.about);
        let name = crate::text::visible(&entry.name);
        lines.push((Some(i), format!("  {}  {about}", text::left(&name, name_w))));
    }
    let rows = h.saturating_sub(7);
    if lines.len() > rows {
        // What is there to choose is worth more than blank lines between.
        lines.retain(|l| l.0.is_some() || !l.1.is_empty());
    }
    let at = lines.iter().position(|l| l.0 == Some(chosen)).unwrap_or(0);
    let first = at
        .saturating_sub(rows.saturating_sub(2))
        .min(lines.len().saturating_sub(rows));
    for (y, (entry, line)) in lines.iter().skip(first).take(rows).enumerate() {
        let style = match entry {
            Some(i) if *i == chosen => theme::chosen(),
            Some(_) => theme::plain(),
            None => theme::strong(),
        };
        pen.put(1, 3 + y, &text::left(line, w - 2), style);
    }
    let below = lines.len().saturating_sub(first + rows);
    if below > 0 {
        let more = format!(" {below} more below ");
        let x = w.saturating_sub(text::width(&more) + 2);
        pen.put(x, 2 + rows, &more, theme::quiet());
    }
    let entry = entries.get(chosen);
    let command = entry.map_or("", |e| e.command.as_str());
    let repaired = entry.and_then(|e| e.repaired.as_deref());
    let about = entries.get(chosen).map_or("", |e| e.about.as_str());
    let about = crate::text::visible(about);
    if name_w + 6 + text::width(&about) > w && rows > 2 {
        // Its line was too short for it.
        pen.put(2, h - 3, &text::cut(&about, w - 4), theme::plain());
    }
    let x = pen.put(2, h - 2, &crate::text::visible(command), theme::quiet());
    if let Some(other) = repaired {
        let other = crate::text::visible(other);
        pen.put(x + 2, h - 2, &format!(" f  {other}"), theme::quiet());
    }
    boxes::title(
        &mut pen,
        1,
        h - 1,
        w - 2,
        match repaired {
            Some(_) => "↑↓ choose  Enter start  f start it repaired  q quit",
            None => "↑↓ choose  Enter start  q quit",
        },
        theme::plain(),
    );
    look.finish(buffer);
}

/// Lets the person choose; nothing when they quit (or the terminal went away).
pub fn choose(entries: &[Entry], ascii: bool) -> std::io::Result<Option<Choice>> {
    let look = Look::detect(ascii, |name| std::env::var(name).ok());
    let (to, events) = channel();
    // First: a signal that comes while the terminal is being set up must not end us with it half set up.
    event::listen(to);
    let mut terminal = Terminal::take()?;
    let mut chosen = 0;
    let last = entries.len().saturating_sub(1);
    let answer = loop {
        let size = terminal.size()?;
        terminal.show(size, |buffer| draw(entries, chosen, look, buffer))?;
        match events.recv() {
            Ok(Event::Key(key)) => match (key.code, key.modifiers) {
                (KeyCode::Char('c'), KeyModifiers::CONTROL)
                | (KeyCode::Char('q') | KeyCode::Esc, _) => break None,
                (KeyCode::Char('z'), KeyModifiers::CONTROL) => terminal.suspend()?,
                (KeyCode::Down | KeyCode::Char('j'), _) => chosen = (chosen + 1).min(last),
                (KeyCode::Up | KeyCode::Char('k'), _) => chosen = chosen.saturating_sub(1),
                (KeyCode::Home | KeyCode::Char('g'), _) => chosen = 0,
                (KeyCode::End | KeyCode::Char('G'), _) => chosen = last,
                (KeyCode::Enter, _) if !entries.is_empty() => {
                    break Some(Choice {
                        entry: chosen,
                        repaired: false,
                    });
                }
                (KeyCode::Char('f'), _)
                    if entries.get(chosen).is_some_and(|e| e.repaired.is_some()) =>
                {
                    break Some(Choice {
                        entry: chosen,
                        repaired: true,
                    });
                }
                _ => {}
            },
            Ok(Event::Suspend) => terminal.suspend()?,
            Ok(Event::Resumed) => terminal.resume()?,
            Ok(Event::Ended(_) | Event::HungUp | Event::Panicked) | Err(_) => break None,
            Ok(_) => {}
        }
    };
    event::deafen();
    Ok(answer)
}
