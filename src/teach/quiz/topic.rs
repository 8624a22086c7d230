//! The topics: which files and calls a problem is drawn from, and which wrong beliefs it has to tell apart.

use crate::teach::epoll::{Belief, Rule, bits};

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Level-triggered items.
    Level,
    /// Edge-triggered items.
    Edge,
    /// EPOLLONESHOT.
    Oneshot,
    /// maxevents smaller than what is ready.
    Maxevents,
    /// The order inside a batch.
    Order,
    /// ADD, MOD and DEL of what is ready.
    Modify,
    /// Dups and closes.
    CloseAndDup,
    /// HUP, ERR, RDHUP.
    Hangup,
    /// OUT.
    Writable,
    /// eventfds.
    Eventfd,
    /// Error numbers.
    Errors,
}

/// A step that a draft may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write a little to the other end.
    Feed,
    /// Read a part.
    Sip,
    /// Read all there is.
    Drain,
    /// Wait.
    Wait,
    /// Register what is not.
    Add,
    /// Change a mask.
    Modify,
    /// Remove.
    Delete,
    /// A second number for a watched file.
    Dup,
    /// Close a watched number.
    CloseWatched,
    /// Close the other end.
    ClosePeer,
    /// Shut down the other end's writing half.
    Shut,
    /// Fill a pipe that is watched for OUT.
    Fill,
}

/// A file that a draft may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pipe whose read end is watched.
    PipeRead,
    /// A pipe whose write end is watched.
    PipeWrite,
    /// A socket pair, one end watched.
    Pair,
    Eventfd,
    Semaphore,
}

/// What a topic's problems are drawn from.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) files: &'static [Kind],
    /// What is asked for, with its modes.
    pub(super) masks: &'static [u32],
    /// Drawn with equal chances; named twice, twice as often.
    pub(super) steps: &'static [Step],
    pub(super) maxevents: &'static [i32],
    /// Files of a problem at the first level.
    pub(super) least_files: u64,
    pub(super) beliefs: &'static [Belief],
    /// One of these must be at work somewhere; nothing where the beliefs see to it.
    pub(super) rules: &'static [Rule],
}

const IN: u32 = bits::IN;
const OUT: u32 = bits::OUT;
const ET: u32 = bits::ET;
const ONESHOT: u32 = bits::ONESHOT;
const RDHUP: u32 = bits::RDHUP;

impl Topic {
    /// All, in the order in which a course takes them.
    pub const ALL: [Topic; 11] = [
        Topic::Level,
        Topic::Edge,
        Topic::Order,
        Topic::Oneshot,
        Topic::Modify,
        Topic::Maxevents,
        Topic::Hangup,
        Topic::CloseAndDup,
        Topic::Eventfd,
        Topic::Writable,
        Topic::Errors,
    ];

    /// What to type.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Level => "level",
            Topic::Edge => "edge",
            Topic::Oneshot => "oneshot",
            Topic::Maxevents => "maxevents",
            Topic::Order => "order",
            Topic::Modify => "modify",
            Topic::CloseAndDup => "close-and-dup",
            Topic::Hangup => "hangup",
            Topic::Writable => "writable",
            Topic::Eventfd => "eventfd",
            Topic::Errors => "errors",
        }
    }

    /// What it is about, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Topic::Level => "what is told again, and what is not",
            Topic::Edge => "what makes an edge",
            Topic::Oneshot => "armed, disarmed, armed again",
            Topic::Maxevents => "more is ready than fits: who comes next",
            Topic::Order => "the order inside a batch",
            Topic::Modify => "ADD, MOD and DEL of what is ready",
            Topic::CloseAndDup => "closed numbers, dups, numbers used again",
            Topic::Hangup => "HUP, ERR and RDHUP of pipes and sockets",
            Topic::Writable => "when OUT comes, and when it comes back",
            Topic::Eventfd => "counters and semaphores",
            Topic::Errors => "what epoll_ctl refuses, and with which error",
        }
    }

    /// The topic of this name.
    pub fn find(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }

    pub(super) fn recipe(self) -> Recipe {
        use Belief as B;
        use Kind as K;
        use Step as S;
        match self {
            Topic::Level => Recipe {
                files: &[K::PipeRead, K::Pair],
                masks: &[IN],
                steps: &[S::Feed, S::Feed, S::Sip, S::Drain, S::Wait],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[B::LevelOnce, B::NoRecheck, B::EventPerChange, B::DataMoves],
                rules: &[Rule::Level, Rule::RecheckFailed],
            },
            Topic::Edge => Recipe {
                files: &[K::PipeRead, K::Pair],
                masks: &[IN | ET, IN | ET, IN | ET, IN | OUT | ET, IN],
                steps: &[S::Feed, S::Feed, S::Sip, S::Drain, S::Wait, S::Wait],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[
                    B::EdgeRepeats,
                    B::PartialReadIsEdge,
                    B::EdgeNeedsDrain,
                    B::OnlyWhatChanged,
                    B::EventPerChange,
                    B::NoRecheck,
                ],
                rules: &[Rule::Edge],
            },
            Topic::Oneshot => Recipe {
                files: &[K::PipeRead, K::Pair],
                masks: &[IN | ONESHOT, IN | ONESHOT, IN | ET | ONESHOT, IN],
                steps: &[S::Feed, S::Wait, S::Sip, S::Modify, S::ClosePeer],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[
                    B::OneshotStays,
                    B::OneshotTellsHup,
                    B::OneshotRemoves,
                    B::ModSilent,
                ],
                rules: &[Rule::Oneshot],
            },
            Topic::Maxevents => Recipe {
                files: &[K::PipeRead],
                masks: &[IN, IN, IN | ET],
                steps: &[S::Feed, S::Feed, S::Wait, S::Wait, S::Drain],
                maxevents: &[1, 2, 2, 3],
                least_files: 3,
                beliefs: &[
                    B::NoRotation,
                    B::MaxeventsDrops,
                    B::NumberOrder,
                    B::AddOrder,
                    B::LevelOnce,
                ],
                rules: &[Rule::MaxeventsRest],
            },
            Topic::Order => Recipe {
                files: &[K::PipeRead, K::PipeRead, K::Pair, K::Eventfd],
                masks: &[IN],
                steps: &[
                    S::Feed,
                    S::Feed,
                    S::Feed,
                    S::Wait,
                    S::Drain,
                    S::Dup,
                    S::Delete,
                    S::Add,
                ],
                maxevents: &[8],
                least_files: 3,
                beliefs: &[B::NumberOrder, B::AddOrder, B::OldestFirst, B::DataMoves],
                rules: &[],
            },
            Topic::Modify => Recipe {
                files: &[K::PipeRead, K::Pair],
                masks: &[IN, IN | ET, IN | OUT | ET, 0],
                steps: &[
                    S::Feed,
                    S::Wait,
                    S::Modify,
                    S::Modify,
                    S::Delete,
                    S::Add,
                    S::Sip,
                ],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[B::ModSilent, B::ModMoves, B::AddSilent, B::DelLeaves],
                rules: &[
                    Rule::ModLooks,
                    Rule::ModKeepsPlace,
                    Rule::DelUnqueues,
                    Rule::AddLooks,
                ],
            },
            Topic::CloseAndDup => Recipe {
                files: &[K::PipeRead, K::Pair],
                masks: &[IN, IN, IN | ET],
                steps: &[
                    S::Feed,
                    S::Dup,
                    S::Dup,
                    S::CloseWatched,
                    S::CloseWatched,
                    S::Wait,
                    S::Add,
                    S::Delete,
                ],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[B::CloseRemoves, B::CloseTells, B::DupIsSame, B::OldestFirst],
                rules: &[Rule::Ghost, Rule::LastClose],
            },
            Topic::Hangup => Recipe {
                files: &[K::PipeRead, K::PipeWrite, K::Pair, K::Pair],
                masks: &[IN, IN, IN | RDHUP, IN | ET, IN | RDHUP | ET, 0],
                steps: &[S::Feed, S::ClosePeer, S::Shut, S::Drain, S::Sip, S::Wait],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[
                    B::HupAsked,
                    B::RdhupUnasked,
                    B::EofIsIn,
                    B::HalfIsHup,
                    B::EdgeRepeats,
                ],
                rules: &[
                    Rule::PipeHup,
                    Rule::PipeErr,
                    Rule::SocketHalf,
                    Rule::SocketHup,
                    Rule::SocketReset,
                ],
            },
            Topic::Writable => Recipe {
                files: &[K::PipeWrite],
                masks: &[OUT, OUT | ET, OUT | ET],
                steps: &[S::Fill, S::Fill, S::Sip, S::Sip, S::Wait, S::Drain],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[B::AnyRoomIsOut, B::EdgeRepeats, B::LevelOnce, B::NoRecheck],
                rules: &[Rule::PipeFull, Rule::PipeRoom],
            },
            Topic::Eventfd => Recipe {
                files: &[K::Eventfd, K::Semaphore],
                masks: &[IN, IN | ET, IN | OUT | ET, IN | OUT],
                steps: &[S::Feed, S::Feed, S::Sip, S::Sip, S::Wait],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[
                    B::EventfdTakesOne,
                    B::EdgeNeedsDrain,
                    B::EdgeRepeats,
                    B::EventPerChange,
                    B::OnlyWhatChanged,
                    B::NoRecheck,
                ],
                rules: &[],
            },
            Topic::Errors => Recipe {
                files: &[K::PipeRead, K::Pair, K::Eventfd],
                masks: &[IN, IN | ONESHOT, IN | bits::EXCLUSIVE],
                steps: &[S::Feed, S::Wait, S::Dup, S::CloseWatched, S::Add, S::Delete],
                maxevents: &[8],
                least_files: 1,
                beliefs: &[B::DupIsSame, B::CloseRemoves, B::OneshotRemoves],
                rules: &[],
            },
        }
    }
}
