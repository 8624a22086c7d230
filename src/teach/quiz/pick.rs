//! From drafts to a problem: kept where wrong beliefs show, stripped of what does not matter, with wrong answers to choose
//! from that somebody would give.

use super::draft::{draw, made};
use super::problem::{Choice, Problem};
use super::show;
use super::topic::Topic;
use crate::demos::Random;
use crate::teach::epoll::{Answer, Belief, Call, Ctl, Errno, Fd, Ready, Rule, Sizes, World, bits};
use std::collections::{BTreeMap, BTreeSet};

/// Drafts after which less is asked of a problem.
const PATIENCE: u32 = 300;

/// Answers to choose from.
pub(super) const CHOICES: usize = 4;

/// The error numbers of epoll_ctl that a draft can lead to.
const ERRORS: [i32; 6] = [
    libc::EEXIST,
    libc::ENOENT,
    libc::EBADF,
    libc::EPERM,
    libc::EINVAL,
    libc::ELOOP,
];

/// What a sequence of calls gives.
struct Judged {
    answers: Vec<Answer>,
    /// What each belief answers to the last call where the kernel does not, and whether the calls before agree with it.
    wrong: Vec<Wrong>,
    /// The rules at work, and that of the last step.
    rules: BTreeSet<Rule>,
    last: Option<Rule>,
}

#[derive(Clone, PartialEq)]
struct Wrong {
    belief: Belief,
    answer: Answer,
    agrees: bool,
}

impl Judged {
    fn truth(&self) -> &Answer {
        &self.answers[self.answers.len() - 1]
    }

    /// The answers of a topic's beliefs that nothing before the question refutes.
    fn telling(&self, topic: Topic) -> Vec<&Wrong> {
        let beliefs = topic.recipe().beliefs;
        let telling = |w: &&Wrong| w.agrees && beliefs.contains(&w.belief);
        self.wrong.iter().filter(telling).collect()
    }

    /// How many different ones there are.
    fn different(&self, topic: Topic) -> usize {
        let mut answers: Vec<&Answer> = self.telling(topic).iter().map(|w| &w.answer).collect();
        answers.sort_unstable();
        answers.dedup();
        answers.len()
    }
}

fn answers(mut world: World, calls: &[Call]) -> Vec<Answer> {
    calls.iter().map(|call| world.apply(call)).collect()
}

/// What these beliefs make of it. Nothing where a call before the last one fails.
fn judge(calls: &[Call], beliefs: &[Belief]) -> Option<Judged> {
    let mut world = World::new(Sizes::default());
    let (mut right, mut rules) = (Vec::new(), BTreeSet::new());
    for call in calls {
        right.push(world.apply(call));
        rules.extend(world.notes().iter().map(|n| n.rule));
    }
    let (truth, before) = right.split_last()?;
    if before.iter().any(|a| matches!(a, Answer::Failed(_))) {
        return None;
    }
    let wrong = (beliefs.iter())
        .filter_map(|belief| {
            let belief = *belief;
            let theirs = answers(World::believing(Sizes::default(), belief), calls);
            let (answer, earlier) = theirs.split_last()?;
            (answer != truth).then(|| Wrong {
                belief,
                answer: answer.clone(),
                agrees: earlier == before,
            })
        })
        .collect();
    Some(Judged {
        answers: right,
        wrong,
        rules,
        last: world.notes().last().map(|n| n.rule),
    })
}

/// Draws until a problem is good enough, and is none of those before it.
pub(super) fn pick(
    topic: Topic,
    number: u32,
    level: u8,
    random: &mut Random,
    before: &[Problem],
) -> Problem {
    let wanted = match random.below(9) as usize {
        at if at < ERRORS.len() => Answer::Failed(Errno(ERRORS[at])),
        _ => Answer::Done,
    };
    let beliefs = topic.recipe().beliefs;
    let mut tries = 0;
    loop {
        tries += 1;
        let Some(calls) = draw(topic, level, random) else {
            continue;
        };
        let calls = renumbered(&calls);
        let Some(judged) = judge(&calls, beliefs) else {
            continue;
        };
        if !good(topic, level, &judged, tries, &wanted) {
            continue;
        }
        let calls = stripped(topic, level, calls, &judged, random);
        let Some(judged) = judge(&calls, &Belief::ALL) else {
            continue;
        };
        let again = before.iter().any(|p| p.calls == calls);
        if again && tries < 2 * PATIENCE || !show::fits(&calls, &judged.answers) {
            continue;
        }
        return problem(topic, number, level, calls, judged, random);
    }
}

/// Whether it asks for something.
fn good(topic: Topic, level: u8, judged: &Judged, tries: u32, wanted: &Answer) -> bool {
    let different = judged.different(topic);
    if topic == Topic::Errors {
        // An error speaks for itself; that a call works has to be a surprise.
        let surprise = different > 0 || *judged.truth() != Answer::Done;
        return surprise && (judged.truth() == wanted || tries > PATIENCE);
    }
    let Answer::Batch(batch) = judged.truth() else {
        return false;
    };
    let least = match level {
        _ if tries > PATIENCE => 1,
        1 => 1,
        _ => 2,
    };
    let wanted = topic.recipe().rules;
    let works = wanted.is_empty() || wanted.iter().any(|r| judged.rules.contains(r));
    batch.len() <= 4 && different >= least && works
}

/// Leaves out calls that change neither the answer nor what wrong beliefs make of it. The higher the level the more stay.
fn stripped(
    topic: Topic,
    level: u8,
    mut calls: Vec<Call>,
    judged: &Judged,
    random: &mut Random,
) -> Vec<Call> {
    let telling = |judged: &Judged| -> Vec<Belief> {
        judged.telling(topic).iter().map(|w| w.belief).collect()
    };
    let beliefs_of_topic = topic.recipe().beliefs;
    let (shape, beliefs) = (shape(judged.truth()), telling(judged));
    // The instance stays, also where the question is about a number that is none.
    for at in (1..calls.len() - 1).rev() {
        if random.below(10) < u64::from(level) - 1 && !matches!(calls[at], Call::Dup { .. }) {
            continue;
        }
        let mut fewer = calls.clone();
        fewer.remove(at);
        let fewer = renumbered(&fewer);
        let same = judge(&fewer, beliefs_of_topic).is_some_and(|less| {
            // A call that is refused is refused for the same reason.
            let refused = topic != Topic::Errors || less.last == judged.last;
            let asks = good(topic, level, &less, PATIENCE + 1, less.truth());
            let alike = self::shape(less.truth()) == shape && telling(&less) == beliefs;
            alike && refused && asks
        });
        if same {
            calls = fewer;
        }
    }
    calls
}

/// An answer without its letters, which are given anew where a call goes.
fn shape(answer: &Answer) -> Answer {
    match answer {
        Answer::Batch(events) => Answer::Batch(
            (events.iter())
                .map(|e| Ready {
                    data: 0,
                    mask: e.mask,
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// The same calls with the numbers and letters that they get in this order: the lowest free ones.
fn renumbered(calls: &[Call]) -> Vec<Call> {
    let mut numbers: BTreeMap<Fd, Fd> = BTreeMap::new();
    let mut open: Vec<Fd> = Vec::new();
    let mut letters: BTreeMap<u64, u64> = BTreeMap::new();
    let mut new = Vec::new();
    for call in calls {
        // A dup is made from the number as it stands before.
        let from = match call {
            Call::Dup { from, .. } => *numbers.get(from).unwrap_or(from),
            _ => 0,
        };
        for fd in made(call) {
            let free = (3..).find(|n| !open.contains(n)).unwrap_or(fd);
            open.push(free);
            numbers.insert(fd, free);
        }
        let of = |fd: Fd| *numbers.get(&fd).unwrap_or(&fd);
        let mut call = *call;
        match &mut call {
            Call::Epoll { fd }
            | Call::Eventfd { fd, .. }
            | Call::Regular { fd }
            | Call::Write { fd, .. }
            | Call::Read { fd, .. }
            | Call::Shutdown { fd, .. } => *fd = of(*fd),
            Call::Pipe { read, write } => (*read, *write) = (of(*read), of(*write)),
            Call::Pair { a, b } => (*a, *b) = (of(*a), of(*b)),
            Call::Dup { from: old, to } => (*old, *to) = (from, of(*to)),
            Call::Close { fd } => {
                *fd = of(*fd);
                open.retain(|n| n != fd);
            }
            Call::Wait { epfd, .. } => *epfd = of(*epfd),
            Call::Ctl {
                epfd,
                fd,
                ctl,
                data,
                ..
            } => {
                (*epfd, *fd) = (of(*epfd), of(*fd));
                if *ctl != Ctl::Del {
                    let next = u64::from(b'A') + letters.len() as u64;
                    *data = *letters.entry(*data).or_insert(next);
                }
            }
        }
        new.push(call);
    }
    new
}

fn problem(
    topic: Topic,
    number: u32,
    level: u8,
    calls: Vec<Call>,
    judged: Judged,
    random: &mut Random,
) -> Problem {
    let truth = judged.truth().clone();
    let mut choices = vec![Choice {
        answer: truth.clone(),
        belief: None,
    }];
    let beliefs = topic.recipe().beliefs;
    let mut wrong: Vec<&Wrong> = judged.wrong.iter().collect();
    wrong.sort_by_key(|w| (!w.agrees, !beliefs.contains(&w.belief)));
    let likely = wrong.iter().map(|w| (w.answer.clone(), Some(w.belief)));
    let unlikely = others(&truth, random).into_iter().map(|a| (a, None));
    for (answer, belief) in likely.chain(unlikely) {
        let usable = match &answer {
            Answer::Batch(events) => events.len() <= 5 && matches!(truth, Answer::Batch(_)),
            _ => true,
        };
        let new = choices.iter().all(|c| c.answer != answer);
        if usable && new && choices.len() < CHOICES && show::choice(&answer).len() <= 70 {
            choices.push(Choice { answer, belief });
        }
    }
    for at in (1..choices.len()).rev() {
        choices.swap(at, random.below(at as u64 + 1) as usize);
    }
    let right = choices.iter().position(|c| c.answer == truth);
    Problem {
        number,
        topic,
        level,
        rules: rules(topic, &judged, &choices),
        right: right.unwrap_or_default(),
        answers: judged.answers,
        calls,
        choices,
    }
}

/// Wrong answers that nobody has to believe in: the truth a little changed.
fn others(truth: &Answer, random: &mut Random) -> Vec<Answer> {
    let Answer::Batch(events) = truth else {
        let mut errors: Vec<Answer> = ERRORS.map(|e| Answer::Failed(Errno(e))).to_vec();
        for at in (1..errors.len()).rev() {
            errors.swap(at, random.below(at as u64 + 1) as usize);
        }
        errors.insert(0, Answer::Done);
        return errors;
    };
    let mut found = vec![Answer::Batch(Vec::new())];
    let mut reversed = events.clone();
    reversed.reverse();
    found.push(Answer::Batch(reversed));
    for at in 0..events.len() {
        let mut fewer = events.clone();
        fewer.remove(at);
        found.push(Answer::Batch(fewer));
    }
    for bit in [bits::OUT, bits::HUP, bits::IN] {
        let changed = |e: &Ready| Ready {
            mask: e.mask ^ bit,
            ..*e
        };
        let changed: Vec<Ready> = events.iter().map(changed).collect();
        if changed.iter().all(|e| e.mask != 0) {
            found.push(Answer::Batch(changed));
        }
    }
    for mask in [bits::IN, bits::HUP, bits::IN | bits::HUP, bits::OUT] {
        let data = u64::from(b'A');
        found.push(Answer::Batch(vec![Ready { data, mask }]));
    }
    found
}

/// The rules that decide, three at most: the one that refuses, or that the topic is about, then those that wrong answers
/// break.
fn rules(topic: Topic, judged: &Judged, choices: &[Choice]) -> Vec<Rule> {
    let recipe = topic.recipe();
    let broken = |of_topic: bool| {
        (choices.iter().filter_map(|c| c.belief))
            .filter(move |b| recipe.beliefs.contains(b) == of_topic)
            .map(Belief::rule)
    };
    let mut rules: Vec<Rule> = match judged.truth() {
        Answer::Failed(_) => judged.last.into_iter().collect(),
        _ => broken(true).collect(),
    };
    let about = recipe.rules.iter().filter(|r| judged.rules.contains(r));
    if topic != Topic::Errors {
        rules.extend(about.chain(&judged.last));
        rules.extend(broken(false));
    }
    let mut seen = BTreeSet::new();
    rules.retain(|rule| seen.insert(*rule));
    rules.truncate(3);
    rules
}
