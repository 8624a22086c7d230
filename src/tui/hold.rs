//! The live trigger, as on a scope: above ten turns a second nobody can read the Loop screen, so it holds the worst
//! turn of the last second until the next second has one. Step: **model** → view.

use super::player::{Facts, Folder, Player};
use crate::model::{Id, Turn};
use crate::trace::Error;

/// Turns a second above which the screen holds.
const RATE: usize = 10;
/// Turns that are tried.
const WORST: usize = 256;
/// How long a held turn stays, and how far back it is looked for.
const SECOND: u64 = 1_000_000_000;

/// A held turn: the state near its end, folded aside.
#[derive(Debug)]
pub struct Held {
    /// The state shown.
    pub folder: Folder,
    /// What happened before it.
    pub facts: Facts,
    /// The instant shown.
    pub t: u64,
    /// The cursor goes before this event when the turn is kept.
    pub event: u64,
    /// The turn.
    pub turn: Turn,
    loop_id: Id,
    /// When it was taken, in the recording's time.
    since: u64,
}

impl Held {
    /// Keeps, replaces or drops what is held, as the recording goes on.
    pub fn refresh(held: &mut Option<Held>, player: &mut Player, loop_id: Id) -> Result<(), Error> {
        let now = player.duration();
        if held
            .as_ref()
            .is_some_and(|h| h.loop_id == loop_id && now < h.since + SECOND)
        {
            return Ok(());
        }
        let recent = player.tail().turns_of(loop_id);
        let recent: Vec<Turn> = recent
            .take_while(|t| t.end + SECOND > now)
            .copied()
            .collect();
        if recent.len() <= RATE {
            // A slow loop is shown as it is; a held turn of a loop that fell asleep has had its second.
            *held = None;
            return Ok(());
        }
        let length = |t: &Turn| t.end - t.start;
        let mut recent = recent;
        recent.sort_by_key(|t| std::cmp::Reverse((length(t), t.number)));
        // Where events are left out between, not every turn can be shown again in a moment.
        let mut worst = recent.iter().take(WORST);
        let Some(worst) = worst.find(|t| player.glimpses(t.event)).copied() else {
            // Too much has happened since: what it does now is shown rather than nothing.
            *held = None;
            return Ok(());
        };
        // In the middle of what made it long: at the end of its longest run, before anything else starts.
        let runs = player.tail().runs.iter().rev();
        let mut inside = runs.filter(|r| r.loop_id == loop_id && r.turn == worst.number);
        let longest = worst.longest.map(|l| l.0);
        let run = inside.find(|r| Some(r.reg) == longest).copied();
        let end = run.map_or(worst.end, |r| r.end);
        let event = player.reader_mut().event_at_time(end)?;
        let (folder, facts) = player.glimpse(event)?;
        *held = Some(Held {
            t: end.saturating_sub(1).max(folder.model.now()).min(end),
            folder,
            facts,
            event,
            turn: worst,
            loop_id,
            since: now,
        });
        Ok(())
    }
}
