//! One problem, and the sequence of them that a seed gives.

use super::pick;
use super::topic::Topic;
use crate::demos::Random;
use crate::teach::epoll::{Answer, Belief, Call, Rule};

/// An answer to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The answer.
    pub answer: Answer,
    /// The belief that leads to it, if one does.
    pub belief: Option<Belief>,
}

/// What does the last call return?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub number: u32,
    /// What it is about.
    pub topic: Topic,
    /// From 1 to 5.
    pub level: u8,
    /// The calls; the last one is the question.
    pub calls: Vec<Call>,
    /// What each returns, the last one too.
    pub answers: Vec<Answer>,
    /// What there is to choose from.
    pub choices: Vec<Choice>,
    /// Which of them is right.
    pub right: usize,
    /// The rules that decide.
    pub rules: Vec<Rule>,
}

/// The hardest.
pub(super) const LEVELS: u8 = 5;

/// The level of a problem where nobody chose one: it grows from each second problem to the next.
fn level_of(number: u32) -> u8 {
    (1 + (number - 1) / 2).min(LEVELS.into()) as u8
}

/// The first `count` problems of a seed. More of them begin with the same ones.
pub(super) fn problems(
    topic: Option<Topic>,
    seed: u64,
    level: Option<u8>,
    count: u32,
) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    // Without a topic each is taken once before one comes again, in an order of the seed's own.
    let mut order = Topic::ALL;
    let mut random = Random::new(seed, 0);
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    for number in 1..=count {
        let of = topic.unwrap_or(order[(number as usize - 1) % order.len()]);
        let level = level.unwrap_or_else(|| level_of(number)).clamp(1, LEVELS);
        let mut random = Random::new(seed, (of as u64 + 1) << 32 | u64::from(number));
        let problem = pick::pick(of, number, level, &mut random, &problems);
        problems.push(problem);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all(seed: u64, count: u32) -> Vec<Problem> {
        let topics = Topic::ALL.into_iter().map(Some).chain([None]);
        topics
            .flat_map(|topic| problems(topic, seed, None, count))
            .collect()
    }

    #[test]
    fn a_seed_gives_its_problems_for_ever_and_more_of_them_begin_alike() {
        assert_eq!(all(5, 6), all(5, 6));
        for topic in [None, Some(Topic::Edge)] {
            let (few, many) = (problems(topic, 9, None, 4), problems(topic, 9, None, 9));
            assert_eq!(few, many[..4]);
            assert_ne!(few, problems(topic, 10, None, 4));
        }
    }

    #[test]
    fn every_problem_has_one_right_answer_among_four() {
        for problem in all(3, 14) {
            let question = problem.question();
            let answers: BTreeSet<&crate::teach::epoll::Answer> =
                problem.choices.iter().map(|c| &c.answer).collect();
            assert_eq!((problem.choices.len(), answers.len()), (4, 4), "{question}");
            let right = &problem.choices[problem.right];
            assert_eq!(Some(&right.answer), problem.answers.last(), "{question}");
            assert!(
                right.belief.is_none() && !problem.rules.is_empty(),
                "{question}"
            );
        }
    }

    #[test]
    fn somebody_would_give_a_wrong_answer_to_every_problem() {
        for problem in all(4, 14) {
            let believed = problem.choices.iter().any(|c| c.belief.is_some());
            let refused = problem.topic == Topic::Errors;
            assert!(believed || refused, "{}", problem.question());
        }
    }

    #[test]
    fn problems_grow_and_differ() {
        for topic in Topic::ALL {
            let problems = problems(Some(topic), 6, None, 20);
            let calls = |range: std::ops::Range<usize>| -> usize {
                problems[range].iter().map(|p| p.calls.len()).sum()
            };
            assert!(calls(0..4) < calls(16..20), "{topic:?}");
            let levels: Vec<u8> = problems.iter().map(|p| p.level).collect();
            assert!(levels.is_sorted() && levels[0] == 1 && levels[19] == LEVELS);
            for (at, problem) in problems.iter().enumerate() {
                let again = problems[..at].iter().find(|p| p.calls == problem.calls);
                assert!(again.is_none(), "{}", problem.question());
            }
        }
        let level = problems(None, 6, Some(2), 12);
        assert!(level.iter().all(|p| p.level == 2));
    }

    #[test]
    fn a_topic_is_about_its_topic() {
        let asks = |topic, word: &str| {
            for problem in problems(Some(topic), 7, None, 20) {
                assert!(problem.question().contains(word), "{}", problem.question());
            }
        };
        asks(Topic::Edge, "ET");
        asks(Topic::Oneshot, "ONESHOT");
        asks(Topic::Eventfd, "eventfd(");
        asks(Topic::Errors, "epoll_ctl(");
        asks(Topic::CloseAndDup, "close(");
        let mixed: BTreeSet<Topic> = problems(None, 7, None, 11)
            .iter()
            .map(|p| p.topic)
            .collect();
        assert_eq!(mixed.len(), Topic::ALL.len());
    }
}
