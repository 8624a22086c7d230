//! Random sequences of calls, each over a few files, so that calls meet.

use loopscope::demos::Random;
use loopscope::teach::epoll::{Call, Ctl, Fd, How, bits};

/// Bytes written to sockets; a message is charged by its size.
pub const MESSAGES: [u64; 4] = [1, 100, 1000, 4000];

/// Bytes written to pipes: less than a page, a page, over it.
const WRITES: [u64; 7] = [0, 1, 3, 100, 4096, 5000, 8192];

const READS: [u64; 8] = [0, 1, 2, 100, 1000, 4096, 5000, 20_000];

const COUNTS: [u64; 6] = [0, 1, 2, 5, u64::MAX - 1, u64::MAX];

/// Numbers a sequence uses.
const NUMBERS: u64 = 14;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Closed,
    Epoll,
    PipeEnd,
    Eventfd,
    Socket,
    Regular,
}

struct Chooser<'r> {
    random: &'r mut Random,
    /// What the generator believes each number to be: good enough to make most calls meaningful.
    kinds: [Kind; NUMBERS as usize],
    calls: Vec<Call>,
    /// How often each mode bit is asked for, in eighths.
    edge: u64,
    oneshot: u64,
    exclusive: u64,
    nested: bool,
}

/// One sequence: files, then calls on them, then two waits each.
pub fn sequence(random: &mut Random) -> Vec<Call> {
    let mut chooser = Chooser {
        edge: random.below(9),
        oneshot: random.below(4),
        exclusive: random.below(3).saturating_sub(1),
        nested: random.below(4) == 0,
        random,
        kinds: [Kind::Closed; NUMBERS as usize],
        calls: Vec::new(),
    };
    chooser.all();
    chooser.calls
}

impl Chooser<'_> {
    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.random.below(values.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.random.below(n) == 0
    }

    fn all(&mut self) {
        self.make_epoll();
        if self.nested {
            self.make_epoll();
            self.make_epoll();
        }
        for _ in 0..1 + self.random.below(4) {
            self.make();
        }
        for _ in 0..8 + self.random.below(40) {
            self.step();
        }
        for _ in 0..2 {
            for fd in 0..NUMBERS as Fd {
                if self.kinds[fd as usize] == Kind::Epoll {
                    self.calls.push(Call::Wait { epfd: fd, max: 8 });
                }
            }
        }
    }

    /// A number of this kind, mostly.
    fn number(&mut self, kinds: &[Kind]) -> Fd {
        let fits: Vec<Fd> = (0..NUMBERS as Fd)
            .filter(|fd| kinds.contains(&self.kinds[*fd as usize]))
            .collect();
        match fits.is_empty() || self.one_in(40) {
            true => self.random.below(NUMBERS) as Fd,
            false => self.of(&fits),
        }
    }

    fn free(&mut self) -> Option<Fd> {
        let free = (0..NUMBERS as Fd).find(|fd| self.kinds[*fd as usize] == Kind::Closed)?;
        self.kinds[free as usize] = Kind::Regular;
        Some(free)
    }

    fn become_(&mut self, fd: Fd, kind: Kind) {
        self.kinds[fd as usize] = kind;
    }

    fn make_epoll(&mut self) {
        if let Some(fd) = self.free() {
            self.become_(fd, Kind::Epoll);
            self.calls.push(Call::Epoll { fd });
        }
    }

    fn make(&mut self) {
        let which = self.random.below(16);
        let Some(a) = self.free() else { return };
        let two = which < 11;
        let second = if two { self.free() } else { None };
        match (which, second) {
            (0..=5, Some(b)) => {
                self.become_(a, Kind::PipeEnd);
                self.become_(b, Kind::PipeEnd);
                self.calls.push(Call::Pipe { read: a, write: b });
            }
            (6..=10, Some(b)) => {
                self.become_(a, Kind::Socket);
                self.become_(b, Kind::Socket);
                self.calls.push(Call::Pair { a, b });
            }
            (15, _) => self.calls.push(Call::Regular { fd: a }),
            _ => {
                self.become_(a, Kind::Eventfd);
                let count = self.of(&[0, 0, 1, 3]);
                let semaphore = self.one_in(2);
                self.calls.push(Call::Eventfd {
                    fd: a,
                    count,
                    semaphore,
                });
            }
        }
    }

    fn step(&mut self) {
        let call = match self.random.below(32) {
            0..=8 => self.ctl(),
            9..=14 => self.write(),
            15..=19 => self.read(),
            20..=26 => self.wait(),
            27 => {
                let how = self.of(&[How::Read, How::Write, How::Both]);
                let fd = self.number(&[Kind::Socket]);
                Call::Shutdown { fd, how }
            }
            28 => self.dup(),
            29 | 30 if self.one_in(2) => self.close(),
            _ => return self.make(),
        };
        self.calls.push(call);
    }

    fn target(&mut self) -> Fd {
        let files = [Kind::PipeEnd, Kind::Eventfd, Kind::Socket];
        match self.nested && self.one_in(4) {
            true => self.number(&[Kind::Epoll]),
            false => self.number(&files),
        }
    }

    fn ctl(&mut self) -> Call {
        let ctl = match self.random.below(40) {
            0..=22 => Ctl::Add,
            23..=32 => Ctl::Mod,
            33..=38 => Ctl::Del,
            _ => Ctl::Other(77),
        };
        Call::Ctl {
            epfd: self.number(&[Kind::Epoll]),
            ctl,
            fd: self.target(),
            mask: self.mask(),
            data: self.random.below(26) + u64::from(b'A'),
        }
    }

    fn mask(&mut self) -> u32 {
        let wants = [
            bits::IN,
            bits::IN,
            bits::IN | bits::OUT,
            bits::OUT,
            bits::IN | bits::RDHUP,
            bits::RDHUP,
            bits::IN | bits::OUT | bits::RDHUP | bits::PRI,
            bits::RDNORM | bits::WRNORM,
            bits::WRBAND | bits::RDBAND,
            0,
        ];
        let mut mask = self.of(&wants);
        for (bit, eighths) in [
            (bits::ET, self.edge),
            (bits::ONESHOT, self.oneshot),
            (bits::EXCLUSIVE, self.exclusive),
        ] {
            if self.random.below(8) < eighths {
                mask |= bit;
            }
        }
        mask
    }

    fn wait(&mut self) -> Call {
        let max = self.of(&[1, 1, 2, 2, 3, 8, 8, 8, 0]);
        let epfd = match max {
            // Which of two errors comes first is not the same in all kernels.
            0 => 0,
            _ => self.number(&[Kind::Epoll]),
        };
        match self.kinds[epfd as usize] == Kind::Epoll {
            true => Call::Wait { epfd, max },
            false => Call::Wait {
                epfd,
                max: max.max(1),
            },
        }
    }

    fn write(&mut self) -> Call {
        let fd = self.number(&[Kind::PipeEnd, Kind::Eventfd, Kind::Socket]);
        let count = match self.kinds[fd as usize] {
            Kind::Eventfd => self.of(&COUNTS),
            Kind::Socket => self.of(&MESSAGES),
            _ => self.of(&WRITES),
        };
        Call::Write { fd, count }
    }

    fn read(&mut self) -> Call {
        let fd = self.number(&[Kind::PipeEnd, Kind::Eventfd, Kind::Socket]);
        let count = match self.kinds[fd as usize] {
            Kind::Eventfd => 8,
            _ => self.of(&READS),
        };
        Call::Read { fd, count }
    }

    fn dup(&mut self) -> Call {
        let from = self.number(&[Kind::PipeEnd, Kind::Eventfd, Kind::Socket, Kind::Epoll]);
        let to = match self.one_in(4) {
            true => self.random.below(NUMBERS) as Fd,
            false => match self.free() {
                Some(free) => free,
                None => self.random.below(NUMBERS) as Fd,
            },
        };
        let kind = self.kinds[from as usize];
        if kind != Kind::Closed {
            self.become_(to, kind);
        }
        Call::Dup { from, to }
    }

    fn close(&mut self) -> Call {
        let all = [
            Kind::PipeEnd,
            Kind::Eventfd,
            Kind::Socket,
            Kind::Socket,
            Kind::Epoll,
            Kind::Regular,
        ];
        let fd = self.number(&all);
        self.become_(fd, Kind::Closed);
        Call::Close { fd }
    }
}
