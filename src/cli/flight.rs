//! The flight recorder's options, and the thread that keeps what a trigger asks for. Step: trace → model → **trace**.

use super::draft::Draft;
use super::error::Failure;
use super::export::cut_into;
use super::open::note;
use super::record::{copy, parse_size};
use crate::capture::control::Control;
use crate::capture::live::Ended;
use crate::capture::trigger::{self, Trigger, Window};
use crate::query::{Field, Query};
use crate::report::words::grouped;
use crate::text::visit::quoted;
use crate::trace::Reader;
use crate::when::{self, Duration};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

/// A flight recorder: the newest part, and what surrounds a stall.
#[derive(clap::Args, Debug)]
pub struct Flight {
    /// Keep only the newest part, in a file of this size: 64MiB. With --trigger what it saves is kept, and this part only if
    /// the program fails
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "max_size")]
    pub ring: Option<u64>,
    /// Save what surrounds a run that matches, such as 'run > 50ms', as FILE-1.lscope and so on, while recording goes on
    #[arg(long, value_name = "EXPR", value_parser = parse_query)]
    pub trigger: Option<Query>,
    /// How much to save from before it
    #[arg(long, value_name = "D", value_parser = parse_time, default_value = "2s", requires = "trigger")]
    pre: u64,
    /// How much to save from after it
    #[arg(long, value_name = "D", value_parser = parse_time, default_value = "1s", requires = "trigger")]
    post: u64,
    /// Save so many times at most
    #[arg(long, value_name = "N", default_value_t = 10, requires = "trigger")]
    saves: u32,
}

fn parse_query(text: &str) -> Result<Query, String> {
    let query: Query = text
        .parse()
        .map_err(|e: crate::query::Error| e.to_string())?;
    match query.uses(Field::Finding) {
        true => Err(
            "what is found is known when it is over; a trigger asks for figures, like 'run > 50ms'"
                .to_owned(),
        ),
        false => Ok(query),
    }
}

fn parse_time(text: &str) -> Result<u64, String> {
    when::duration(text)
        .ok_or_else(|| "a time is a number and a unit, like 1.5s, 300ms, 2min".to_owned())
}

/// The trigger's thread.
pub(super) struct Watcher(JoinHandle<anyhow::Result<u32>>);

impl Flight {
    /// The recording itself is kept only if the program fails.
    pub fn only_saves(&self) -> bool {
        self.ring.is_some() && self.trigger.is_some()
    }

    /// Starts to wait for the trigger, if there is one. What it saves is called like `path`.
    pub fn watch(
        &self,
        control: &Control,
        path: &Path,
        force: bool,
    ) -> anyhow::Result<Option<Watcher>> {
        let Some(query) = self.trigger.clone() else {
            return Ok(None);
        };
        let trigger = Trigger {
            query,
            pre: self.pre,
            post: self.post,
        };
        let (saves, path) = (self.saves, path.to_owned());
        let (tell, grown) = sync_channel(1);
        control.on_change(move || {
            // One word is enough, however often it is said.
            let _ = tell.try_send(());
        });
        let mut reader = Reader::open(control.recording())?;
        let thread = std::thread::Builder::new().name("trigger".to_owned());
        let thread = thread.spawn(move || {
            let (mut saved, mut failed) = (0, None);
            trigger::watch(&trigger, &mut reader, &grown, &mut |reader, window| {
                let name = numbered(&path, saved + 1);
                match keep(reader, window, &name, force) {
                    Ok(()) => saved += 1,
                    Err(error) => failed = Some(error),
                }
                if saved == saves {
                    note(&format!(
                        "saved {saves} times, which is all that --saves allows; recording goes on"
                    ));
                }
                failed.is_none() && saved < saves
            })?;
            failed.map_or(Ok(saved), Err)
        })?;
        Ok(Some(Watcher(thread)))
    }
}

impl Watcher {
    /// Waits for the last save, once the recording is complete; keeps the ring of a program that failed. Whether the
    /// recording itself is called `path` now.
    pub fn join(
        self,
        flight: &Flight,
        ended: &Ended,
        path: &Path,
        force: bool,
    ) -> anyhow::Result<bool> {
        // Nobody tells of changes any more: the thread looks for itself.
        ended.control.on_change(|| ());
        let failed = || Err(Failure::new("the trigger's thread failed").into());
        let saved = self.0.join().unwrap_or_else(|_| failed())?;
        let ended_well = ended.status.is_none_or(|status| status.success());
        if !flight.only_saves() {
            return Ok(true);
        }
        if ended_well {
            if saved == 0 {
                note("nothing matched the trigger, so nothing was kept");
            }
            return Ok(false);
        }
        let draft = Draft::create(path, force)?;
        copy(&ended.file, &mut draft.file())
            .map_err(|e| Failure::new(format!("cannot write {}", path.display())).because(e))?;
        draft.keep()?;
        Ok(true)
    }
}

/// `F.lscope` as `F-3.lscope`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}."));
    name.push(path.extension().unwrap_or("lscope".as_ref()));
    path.with_file_name(name)
}

fn keep(reader: &mut Reader, window: &Window, path: &Path, force: bool) -> anyhow::Result<()> {
    let draft = Draft::create(path, force)?;
    cut_into(reader, &draft, window.from, window.until, None)?;
    draft.keep()?;
    let name = path.display().to_string();
    let (fd, whose) = &window.fd;
    let who = match whose.as_str() {
        "" => format!("fd {fd}"),
        name => format!("{name} (fd {fd})"),
    };
    let times = match window.matches {
        1 => String::new(),
        n => format!(" and {} more", grouped(n - 1)),
    };
    note(&format!(
        "saved {} around {who} at {}{times}: loopscope replay {}",
        Duration(window.until - window.from),
        Duration(window.at),
        quoted(&name)
    ));
    Ok(())
}
