//! A draft of a problem: files, registrations, random steps of a topic, and the question. Every call but the last works.

use super::topic::{Kind, Recipe, Step, Topic};
use crate::demos::Random;
use crate::teach::epoll::{Answer, Call, Ctl, Fd, How, Sizes, World, bits};

/// The epoll descriptor: the first free number of a program that has its three standard ones.
const EPOLL: Fd = 3;

/// A file and what a draft does with it.
struct Thing {
    kind: Kind,
    /// Numbers of the watched end.
    watched: Vec<Fd>,
    /// The other end, while it is open.
    peer: Option<Fd>,
}

pub(super) struct Draft<'r> {
    random: &'r mut Random,
    recipe: Recipe,
    world: World,
    calls: Vec<Call>,
    things: Vec<Thing>,
    /// What is registered, by number.
    items: Vec<Fd>,
    letter: u64,
}

/// Draws a sequence of calls; the last one is the question. Nothing if it came out unusable.
pub(super) fn draw(topic: Topic, level: u8, random: &mut Random) -> Option<Vec<Call>> {
    let level = u64::from(level);
    let recipe = topic.recipe();
    let files = recipe.least_files + random.below(1 + level.div_ceil(2));
    let steps = 2 + level + random.below(2 + level);
    let mut draft = Draft {
        random,
        recipe,
        world: World::new(Sizes::default()),
        calls: Vec::new(),
        things: Vec::new(),
        items: Vec::new(),
        letter: u64::from(b'A'),
    };
    draft.call(Call::Epoll { fd: EPOLL })?;
    for _ in 0..files.min(5) {
        draft.open()?;
    }
    for thing in 0..draft.things.len() {
        if draft.one_in(4) {
            draft.step(Step::Feed, thing);
        }
        if !draft.one_in(8) {
            draft.step(Step::Add, thing);
        }
    }
    for _ in 0..steps {
        let step = draft.of(draft.recipe.steps);
        let thing = draft.random.below(draft.things.len() as u64) as usize;
        draft.step(step, thing);
    }
    match topic {
        Topic::Errors => draft.error()?,
        _ => draft.question(),
    }
    Some(draft.calls)
}

impl Draft<'_> {
    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.random.below(values.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.random.below(n) == 0
    }

    /// The lowest number that is free, as the kernel gives it out.
    fn free(&self) -> Fd {
        let open: Vec<Fd> = self.world.open().collect();
        (EPOLL..).find(|fd| !open.contains(fd)).unwrap_or(EPOLL)
    }

    /// Does a call and keeps it; one that fails is left out.
    fn call(&mut self, call: Call) -> Option<Answer> {
        let mut tried = self.world.clone();
        match tried.apply(&call) {
            Answer::Failed(_) => None,
            answer => {
                self.world = tried;
                self.calls.push(call);
                Some(answer)
            }
        }
    }

    fn open(&mut self) -> Option<()> {
        let kind = self.of(self.recipe.files);
        let a = self.free();
        // Numbers are taken in order, and a pair takes two.
        let open: Vec<Fd> = self.world.open().collect();
        let b = (a + 1..).find(|fd| !open.contains(fd)).unwrap_or(a + 1);
        let (call, watched, peer) = match kind {
            Kind::PipeRead => (Call::Pipe { read: a, write: b }, a, Some(b)),
            Kind::PipeWrite => (Call::Pipe { read: a, write: b }, b, Some(a)),
            Kind::Pair => (Call::Pair { a, b }, a, Some(b)),
            Kind::Eventfd | Kind::Semaphore => {
                let semaphore = kind == Kind::Semaphore;
                let count = self.of(&[0, 0, 2]);
                (
                    Call::Eventfd {
                        fd: a,
                        count,
                        semaphore,
                    },
                    a,
                    Some(a),
                )
            }
        };
        self.call(call)?;
        self.things.push(Thing {
            kind,
            watched: vec![watched],
            peer,
        });
        Some(())
    }

    /// Does what can be done of a step with this file.
    fn step(&mut self, step: Step, thing: usize) {
        let kind = self.things[thing].kind;
        let watched = self.things[thing].watched.clone();
        let peer = self.things[thing].peer;
        match (step, kind, peer) {
            (Step::Feed, Kind::PipeWrite, _) | (Step::Fill, ..) => self.fill(&watched),
            (Step::Feed, Kind::Eventfd | Kind::Semaphore, Some(fd)) => {
                let count = self.of(&[1, 2, 3]);
                self.call(Call::Write { fd, count });
            }
            (Step::Feed, _, Some(fd)) => {
                let count = self.of(&[1, 4, 10, 100]);
                self.call(Call::Write { fd, count });
            }
            (Step::Sip, Kind::PipeWrite, Some(fd)) => {
                let count = self.of(&[1, 100, 4095, 4096, 5000]);
                self.call(Call::Read { fd, count });
            }
            (Step::Drain, Kind::PipeWrite, Some(fd)) => {
                self.call(Call::Read { fd, count: 65_536 });
            }
            (Step::Sip, ..) => {
                let count = self.of(&[1, 3, 8]);
                self.read(&watched, count);
            }
            (Step::Drain, ..) => self.read(&watched, 4096),
            (Step::Wait, ..) => self.question(),
            (Step::Add, ..) => self.add(&watched),
            (Step::Modify, ..) => self.modify(),
            (Step::Delete, ..) => self.delete(),
            (Step::Dup, ..) => self.dup(thing),
            (Step::CloseWatched, ..) => self.close(thing),
            (Step::ClosePeer, Kind::PipeRead | Kind::PipeWrite | Kind::Pair, Some(fd)) => {
                let closed = self.call(Call::Close { fd }).is_some();
                self.things[thing].peer = (!closed).then_some(fd);
            }
            (Step::Shut, Kind::Pair, Some(fd)) => {
                let how = self.of(&[How::Write, How::Write, How::Both]);
                self.call(Call::Shutdown { fd, how });
            }
            _ => {}
        }
    }

    fn fill(&mut self, watched: &[Fd]) {
        if let Some(fd) = watched.first() {
            let count = self.of(&[65_536, 65_536, 4096, 1]);
            self.call(Call::Write { fd: *fd, count });
        }
    }

    fn read(&mut self, watched: &[Fd], count: u64) {
        if let Some(fd) = watched.first() {
            self.call(Call::Read { fd: *fd, count });
        }
    }

    /// A wait; not a third in a row.
    fn question(&mut self) {
        let waits = self.calls.iter().rev();
        if waits.take_while(|c| matches!(c, Call::Wait { .. })).count() < 2 {
            let max = self.of(self.recipe.maxevents);
            self.call(Call::Wait { epfd: EPOLL, max });
        }
    }

    fn mask(&mut self, fd: Fd) -> u32 {
        let mask = self.of(self.recipe.masks);
        let writes =
            (self.things.iter()).any(|t| t.kind == Kind::PipeWrite && t.watched.contains(&fd));
        match writes {
            true => mask & bits::MODES | bits::OUT,
            false => mask,
        }
    }

    fn add(&mut self, watched: &[Fd]) {
        let new = watched.iter().copied().find(|fd| !self.items.contains(fd));
        if let Some(fd) = new
            && self.control(Ctl::Add, fd).is_some()
        {
            self.items.push(fd);
        }
    }

    fn control(&mut self, ctl: Ctl, fd: Fd) -> Option<Answer> {
        let mask = self.mask(fd);
        let data = self.letter;
        let done = self.call(Call::Ctl {
            epfd: EPOLL,
            ctl,
            fd,
            mask,
            data: if ctl == Ctl::Del { 0 } else { data },
        });
        if done.is_some() && ctl != Ctl::Del {
            self.letter += 1;
        }
        done
    }

    fn modify(&mut self) {
        if !self.items.is_empty() {
            let fd = self.of(&self.items.clone());
            self.control(Ctl::Mod, fd);
        }
    }

    fn delete(&mut self) {
        if self.items.is_empty() {
            return;
        }
        let at = self.random.below(self.items.len() as u64) as usize;
        let fd = self.items[at];
        if self.control(Ctl::Del, fd).is_some() {
            self.items.remove(at);
        }
    }

    fn dup(&mut self, thing: usize) {
        let Some(from) = self.things[thing].watched.first().copied() else {
            return;
        };
        let to = self.free();
        if self.things[thing].watched.len() < 2 && self.call(Call::Dup { from, to }).is_some() {
            self.things[thing].watched.push(to);
        }
    }

    fn close(&mut self, thing: usize) {
        let watched = self.things[thing].watched.clone();
        if watched.is_empty() || self.things[thing].peer == watched.first().copied() {
            return;
        }
        let fd = self.of(&watched);
        if self.call(Call::Close { fd }).is_some() {
            self.things[thing].watched.retain(|w| *w != fd);
            self.items.retain(|item| *item != fd);
        }
    }

    /// The question of the topic of errors: an epoll_ctl that may work or not, with what it needs.
    fn error(&mut self) -> Option<()> {
        let numbers: Vec<Fd> = self
            .calls
            .iter()
            .flat_map(made)
            .filter(|fd| *fd != EPOLL)
            .collect();
        let mut fd = self.of(&numbers);
        let mut epfd = EPOLL;
        let ctl = self.of(&[Ctl::Add, Ctl::Add, Ctl::Mod, Ctl::Del]);
        let mut mask = bits::IN;
        match self.random.below(8) {
            0 => {
                fd = self.free();
                self.call(Call::Regular { fd })?;
            }
            1 => mask |= bits::EXCLUSIVE,
            2 => mask |= bits::EXCLUSIVE | self.of(&[bits::ONESHOT, bits::ET, bits::RDHUP]),
            3 => (fd, epfd) = self.of(&[(EPOLL, EPOLL), (EPOLL, fd)]),
            4 => {
                let inner = self.free();
                self.call(Call::Epoll { fd: inner })?;
                let link = |epfd, fd| Call::Ctl {
                    epfd,
                    ctl: Ctl::Add,
                    fd,
                    mask: bits::IN,
                    data: u64::from(b'Z'),
                };
                if self.one_in(2) {
                    self.call(link(EPOLL, inner))?;
                }
                (epfd, fd) = (inner, EPOLL);
            }
            _ => {}
        }
        let data = if ctl == Ctl::Del { 0 } else { self.letter };
        self.calls.push(Call::Ctl {
            epfd,
            ctl,
            fd,
            mask,
            data,
        });
        Some(())
    }
}

/// The numbers a call gives out.
pub(super) fn made(call: &Call) -> Vec<Fd> {
    match *call {
        Call::Epoll { fd } | Call::Eventfd { fd, .. } | Call::Regular { fd } => vec![fd],
        Call::Pipe { read, write } => vec![read, write],
        Call::Pair { a, b } => vec![a, b],
        Call::Dup { to, .. } => vec![to],
        _ => Vec::new(),
    }
}
