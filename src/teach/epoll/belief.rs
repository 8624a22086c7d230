//! What people wrongly believe of epoll, each as the model with one step changed: it gives the answer they would.

use super::rule::Rule;

/// One wrong belief.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Belief {
    /// Edge-triggered tells again while it is ready.
    EdgeRepeats,
    /// Reading a part makes an edge for the rest.
    PartialReadIsEdge,
    /// After an edge nothing comes until all was read.
    EdgeNeedsDrain,
    /// An edge-triggered event carries only what changed.
    OnlyWhatChanged,
    /// Level-triggered tells once.
    LevelOnce,
    /// A batch is in the order of the numbers.
    NumberOrder,
    /// A batch is in the order of the ADDs.
    AddOrder,
    /// One change queues the first registered item first.
    OldestFirst,
    /// The same come first again.
    NoRotation,
    /// More data moves a queued item to the end.
    DataMoves,
    /// What did not fit is lost.
    MaxeventsDrops,
    /// What was queued is told, drained or not.
    NoRecheck,
    /// Each change is an event of its own.
    EventPerChange,
    /// One-shot goes on.
    OneshotStays,
    /// A disarmed one-shot still tells hang-ups.
    OneshotTellsHup,
    /// One-shot removes the item.
    OneshotRemoves,
    /// MOD does not look.
    ModSilent,
    /// MOD moves a queued item to the end.
    ModMoves,
    /// ADD does not look.
    AddSilent,
    /// DEL leaves a queued event.
    DelLeaves,
    /// A close always removes.
    CloseRemoves,
    /// A close is told as a hang-up.
    CloseTells,
    /// A dup is the same item.
    DupIsSame,
    /// HUP and ERR have to be asked for.
    HupAsked,
    /// RDHUP comes unasked.
    RdhupUnasked,
    /// The end of a pipe is readable.
    EofIsIn,
    /// A half-closed peer is a hang-up.
    HalfIsHup,
    /// Reading an eventfd takes one.
    EventfdTakesOne,
    /// A byte read from a full pipe makes room.
    AnyRoomIsOut,
}

impl Belief {
    /// All of them.
    pub const ALL: [Belief; 29] = [
        Belief::EdgeRepeats,
        Belief::PartialReadIsEdge,
        Belief::EdgeNeedsDrain,
        Belief::OnlyWhatChanged,
        Belief::LevelOnce,
        Belief::NumberOrder,
        Belief::AddOrder,
        Belief::OldestFirst,
        Belief::NoRotation,
        Belief::DataMoves,
        Belief::MaxeventsDrops,
        Belief::NoRecheck,
        Belief::EventPerChange,
        Belief::OneshotStays,
        Belief::OneshotTellsHup,
        Belief::OneshotRemoves,
        Belief::ModSilent,
        Belief::ModMoves,
        Belief::AddSilent,
        Belief::DelLeaves,
        Belief::CloseRemoves,
        Belief::CloseTells,
        Belief::DupIsSame,
        Belief::HupAsked,
        Belief::RdhupUnasked,
        Belief::EofIsIn,
        Belief::HalfIsHup,
        Belief::EventfdTakesOne,
        Belief::AnyRoomIsOut,
    ];

    /// The rule that it breaks.
    pub fn rule(self) -> Rule {
        match self {
            Belief::EdgeRepeats | Belief::PartialReadIsEdge => Rule::Edge,
            Belief::EdgeNeedsDrain | Belief::NumberOrder | Belief::AddOrder => Rule::Queued,
            Belief::OnlyWhatChanged => Rule::WholeMask,
            Belief::LevelOnce => Rule::Level,
            Belief::OldestFirst => Rule::NewestFirst,
            Belief::NoRotation | Belief::MaxeventsDrops => Rule::MaxeventsRest,
            Belief::DataMoves | Belief::EventPerChange => Rule::QueuedOnce,
            Belief::NoRecheck => Rule::RecheckFailed,
            Belief::OneshotStays | Belief::OneshotRemoves => Rule::Oneshot,
            Belief::OneshotTellsHup => Rule::Disarmed,
            Belief::ModSilent => Rule::ModLooks,
            Belief::ModMoves => Rule::ModKeepsPlace,
            Belief::AddSilent => Rule::AddLooks,
            Belief::DelLeaves => Rule::DelUnqueues,
            Belief::CloseRemoves => Rule::Ghost,
            Belief::CloseTells => Rule::LastClose,
            Belief::DupIsSame => Rule::Key,
            Belief::HupAsked => Rule::ErrHupUnasked,
            Belief::RdhupUnasked => Rule::RdhupAsked,
            Belief::EofIsIn => Rule::PipeHup,
            Belief::HalfIsHup => Rule::SocketHup,
            Belief::EventfdTakesOne => Rule::EventfdCount,
            Belief::AnyRoomIsOut => Rule::PipeRoom,
        }
    }

    /// The belief, after "if …" or "that …".
    #[rustfmt::skip]
    pub fn sentence(self) -> &'static str {
        match self {
            Belief::EdgeRepeats => "an edge-triggered item is told again as long as it is ready",
            Belief::PartialReadIsEdge => "reading a part of the data makes a new edge for the rest",
            Belief::EdgeNeedsDrain => "after an edge nothing new is told until everything was read",
            Belief::OnlyWhatChanged => "an edge-triggered event carries only the bit that changed",
            Belief::LevelOnce => "a level-triggered item is told once",
            Belief::NumberOrder => "a batch is sorted by descriptor number",
            Belief::AddOrder => "a batch is in the order of registration",
            Belief::OldestFirst => "of several items that one change concerns, the first registered comes first",
            Belief::NoRotation => "what was told keeps its place at the head of the ready list",
            Belief::DataMoves => "new data moves an item that is queued already to the end",
            Belief::MaxeventsDrops => "events that do not fit into maxevents are lost",
            Belief::NoRecheck => "what was queued once is told, even if it was drained meanwhile",
            Belief::EventPerChange => "each write gives an event of its own",
            Belief::OneshotStays => "one-shot makes no difference while bytes are left",
            Belief::OneshotTellsHup => "a disarmed one-shot item still tells a hang-up",
            Belief::OneshotRemoves => "one-shot takes the item off the interest list",
            Belief::ModSilent => "MOD only changes the mask and waits for the next change",
            Belief::ModMoves => "MOD of a queued item moves it to the end",
            Belief::AddSilent => "ADD only waits for the next change",
            Belief::DelLeaves => "an event that is queued already outlives DEL",
            Belief::CloseRemoves => "closing the number always removes the item",
            Belief::CloseTells => "closing a watched descriptor is told as a hang-up",
            Belief::DupIsSame => "a dup is the same item as its original",
            Belief::HupAsked => "HUP and ERR have to be asked for",
            Belief::RdhupUnasked => "RDHUP comes unasked, as HUP does",
            Belief::EofIsIn => "the end of a pipe is told as IN, as a socket's is",
            Belief::HalfIsHup => "a peer that has shut down writing is a hang-up",
            Belief::EventfdTakesOne => "a read takes 1 from any eventfd",
            Belief::AnyRoomIsOut => "one byte read from a full pipe makes it writable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_belief_is_missing_or_told_twice() {
        let all: BTreeSet<Belief> = Belief::ALL.into_iter().collect();
        let told: BTreeSet<&str> = Belief::ALL.iter().map(|b| b.sentence()).collect();
        assert!(all.len() == Belief::ALL.len() && told.len() == all.len());
    }
}
