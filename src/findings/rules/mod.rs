//! The rules, one small type each, grouped by what goes wrong. Step: model → **view**.

mod backlog;
mod blocking;
mod edge;
mod herd;
mod identity;
pub(super) mod ignored;
mod leak;
mod registering;
pub(super) mod retries;
mod serving;
mod signals;
mod slow;
mod spent;
mod spinning;
mod streams;
mod timing;
mod waits;
mod waking;

use super::Thresholds;
use super::facts::{Cx, Rule};
use crate::model::{Id, Map};

/// Every rule, in the order of their codes.
pub fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(blocking::BlockingHandler::default()),
        Box::new(spent::ComputingHandler),
        Box::new(spent::PageFaultStall),
        Box::new(spent::PreemptedHandler),
        Box::new(slow::LongHandler::default()),
        Box::new(slow::LongIteration::default()),
        Box::new(serving::Starvation),
        Box::new(serving::GreedyHandler::default()),
        Box::new(streams::FdLeftBlocking),
        Box::new(edge::EtNotDrained::default()),
        Box::new(edge::EtEofMissed::default()),
        Box::new(waking::BusyLoop::default()),
        Box::new(waits::TimerSpin::default()),
        Box::new(spinning::WritableSpin),
        Box::new(spinning::HangupSpin),
        Box::new(spinning::FdLimitSpin::default()),
        Box::new(spinning::EofIgnored),
        Box::new(streams::ShortWriteDropped::default()),
        Box::new(registering::NeverRegistered::default()),
        Box::new(registering::InterestWithoutIn::default()),
        Box::new(spinning::DataNamesOtherFd::default()),
        Box::new(herd::ThunderingHerd::default()),
        Box::new(herd::WorkerSkew::default()),
        Box::new(identity::GhostEvent),
        Box::new(identity::StaleEvent::default()),
        Box::new(identity::ForkSharedEpoll::default()),
        Box::new(identity::ExecInheritedEpoll::default()),
        Box::new(leak::FdLeak::default()),
        Box::new(edge::OneshotNotRearmed::default()),
        Box::new(timing::PeriodicTimerfdUnread::default()),
        Box::new(timing::LateTimer::default()),
        Box::new(herd::SpuriousWakeup::default()),
        Box::new(waits::BatchFull::default()),
        Box::new(registering::RegistrationChurn::default()),
        Box::new(registering::RegistrationFailed::default()),
        Box::new(signals::SignalStarved::default()),
        Box::new(waking::IdleWakeups::default()),
    ]
}

/// What a rule keeps by registration and is due, in the order of the ids: the same in every run.
fn due<T: Copy>(all: &Map<Id, T>, is_due: impl Fn(&T) -> bool) -> Vec<(Id, T)> {
    let due = all.iter().filter(|(_, kept)| is_due(kept));
    let mut due: Vec<(Id, T)> = due.map(|(id, kept)| (*id, *kept)).collect();
    due.sort_unstable_by_key(|(id, _)| *id);
    due
}

/// How much of a stretch that ended now was the thread's own doing: without the time in which others had its CPU, and
/// without what it may have waited for one when a sleep was over.
fn own_part(cx: &Cx<'_>, process: Id, thread: Id, from: u64, to: u64) -> u64 {
    let spent = cx.model.spent_in_turn(thread, from, to);
    let slept = [spent.blocked, spent.waiting, spent.fault, spent.unknown];
    let slept = slept.into_iter().fold(0, u64::saturating_add);
    let others = spent.kept_off().saturating_add(slept.min(cx.late(process)));
    to.saturating_sub(from).saturating_sub(others)
}

/// Calls that take less are of no interest to rules that want to hear of slow ones only.
pub(super) fn least_slow(limits: &Thresholds) -> u64 {
    let io = limits.blocking_io.min(limits.blocking_warning);
    io.min(slow::HELD_UP)
}

/// So many times, as a sentence tells it.
fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    #[test]
    fn every_code_has_one_rule() {
        let codes: Vec<Code> = all().iter().map(|r| r.code()).collect();
        assert_eq!(codes, Code::ALL);
    }
}
