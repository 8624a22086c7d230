//! The rules, one small type each, grouped by what goes wrong. Step: model → **view**.

mod edge;
mod herd;
mod identity;
mod leak;
mod registering;
mod serving;
mod slow;
mod spent;
mod spinning;
mod streams;
mod timing;
mod waits;
mod waking;

use super::facts::Rule;

/// Every rule, in the order of their codes.
pub fn all() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(slow::BlockingHandler::default()),
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
        Box::new(waking::IdleWakeups::default()),
    ]
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
