//! foreign: redis, nginx, a server on Python's asyncio, one on Node: whichever are installed, unmodified, side by side, each with three
//! clients of ours. Nothing in them knows of loopscope; their calls are recorded as `loopscope record` does it. However different they
//! are, all of them are the same thing: a wait that tells of a batch, and handlers one after the other. ann and bob have small
//! questions. dee has a large one: a script for redis, a file for nginx to compress, a number for the other two to count to. Each
//! of these servers answers it in one run, and ann and bob wait until it is over.
//!
//! Nobody repairs an installed program by the way. The repair is in the question: dee asks for the same in twelve pieces, and after each
//! of them the loop looks up.

use loopscope::{Recorder, mark};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{Loop, median, ms, quarter};
use super::programs::{self, Client, PIECES, Program};
use super::{Claim, Knobs, Random, Seen};

/// ann and bob ask that often, dee so long after an answer.
const OFTEN: Duration = Duration::from_millis(55);
const SELDOM: Duration = Duration::from_millis(220);
/// Nobody wants a program now: how long until we look again.
const LOOK: Duration = Duration::from_millis(10);

/// Runs the programs that are there, and their clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let wanted = knobs.dials.word("program");
    let is_wanted = |one: &Program| wanted == "all" || wanted == one.name;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (program, file) in programs::find() {
        match file {
            Some(file) => found.push((program, file)),
            None => {
                mark!("not installed", program = program.name);
                missing.push(format!("{} ({})", program.name, program.package));
            }
        }
    }
    if !found.iter().any(|(one, _)| is_wanted(one)) {
        missing.retain(|one| wanted == "all" || one.starts_with(wanted));
        let why = format!("nothing to look at is installed; install {}", missing.join(" or "));
        return Err(io::Error::other(why));
    }
    missing.iter().for_each(|one| println!("not installed: {one}"));
    // Who asks for something large asks alone, whichever program it is: one processor is busy with it, not four.
    let floor = Mutex::new(());
    // Any program can be turned to while it runs.
    thread::scope(|scope| {
        let (floor, end) = (&floor, Instant::now() + knobs.time);
        let start = |(program, file)| scope.spawn(move || drive(program, file, knobs, floor, end));
        let all: Vec<_> = found.into_iter().map(start).collect();
        for one in all {
            one.join().map_err(|_| io::Error::other("a client has panicked"))??;
        }
        Ok(())
    })
}

/// One program from its start to its end; it is started when somebody wants to see it.
fn drive(
    program: &'static Program,
    file: PathBuf,
    knobs: &Knobs,
    floor: &Mutex<()>,
    end: Instant,
) -> io::Result<()> {
    let is_wanted = || ["all", program.name].contains(&knobs.dials.word("program"));
    while !is_wanted() {
        if Instant::now() >= end {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    let server = program.start(&file, &knobs.place)?;
    mark!("started", program = program.name, pid = server.pid());
    println!("{} runs as process {}", program.name, server.pid());
    let (ann, bob, mut dee) = (server.connect()?, server.connect()?, server.connect()?);
    let (tell, told) = channel();
    // Some take longer to start than others.
    let end = end.max(Instant::now() + knobs.time / 2);
    thread::scope(|scope| {
        let large = scope.spawn(move || {
            let mut random = Random::new(knobs.seed, 0);
            while Instant::now() < end {
                thread::sleep(SELDOM + Duration::from_micros(random.below(20_000)));
                if is_wanted() {
                    ask_large(program, &mut dee, knobs, floor, &tell)?;
                }
            }
            Ok(())
        });
        let small = ask_small(program, [ann, bob], &told, is_wanted);
        let large = large.join();
        small.and(large.map_err(|_| io::Error::other("dee has panicked"))?)
    })
}

/// dee: something large, all at once or piece by piece.
fn ask_large(
    program: &Program,
    dee: &mut Client,
    knobs: &Knobs,
    floor: &Mutex<()>,
    tell: &Sender<()>,
) -> io::Result<()> {
    let size = match knobs.dials.word("dee") {
        "in pieces" => 1,
        _ => PIECES,
    };
    let alone = floor.lock();
    // ann is told, so that she asks in the middle of it. She stays longer than dee does.
    let _ = tell.send(());
    let asked = Instant::now();
    for _ in 0..PIECES / size {
        dee.ask(size)?;
        dee.answer(size)?;
    }
    drop(alone);
    mark!("dee", program = program.name, us = asked.elapsed().as_micros() as u64);
    Ok(())
}

/// ann and bob: something small, both at once. ann looks at her watch when dee has just asked; both go when dee has gone.
fn ask_small(
    program: &Program,
    mut both: [Client; 2],
    told: &Receiver<()>,
    is_wanted: impl Fn() -> bool,
) -> io::Result<()> {
    loop {
        let dee_has_asked = match told.recv_timeout(OFTEN) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if !is_wanted() {
            continue;
        }
        if dee_has_asked {
            thread::sleep(Duration::from_millis(2));
        }
        let asked = Instant::now();
        for client in &mut both {
            client.ask(0)?;
        }
        both[0].answer(0)?;
        let us = asked.elapsed().as_micros() as u64;
        both[1].answer(0)?;
        if dee_has_asked {
            mark!("ann", program = program.name, us = us);
        }
    }
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let started = |seen: &Seen| -> Vec<(String, u64)> {
        let marks = seen.marks.iter().filter(|mark| mark.name == "started");
        marks.map(|mark| (mark.word("program").to_owned(), mark.number("pid"))).collect()
    };
    let (there, again) = (started(broken), started(fixed));
    // Its loop is the one that was told most; some have another for their signals.
    let main = |seen: &Seen, pid: u64| -> Loop {
        let own = seen.loops.iter().filter(|one| one.pid == pid);
        own.max_by_key(|one| one.told).cloned().unwrap_or_default()
    };
    let took = |seen: &Seen, who: &str, program: &str| -> Vec<u64> {
        let own = seen.marks.iter().filter(|mark| mark.name == who && mark.word("program") == program);
        own.map(|mark| 1_000 * mark.number("us")).collect()
    };
    let mut text = [const { Vec::new() }; 3];
    let mut holds = [!there.is_empty() && there.len() == again.len(); 3];
    for (name, pid) in &there {
        let seen = main(broken, *pid);
        text[0].push(format!("{name} {}, {}, {}", seen.wakeups, seen.told, seen.runs));
        holds[0] &= seen.wakeups >= 10 && seen.most >= 2 && 10 * seen.runs >= 8 * seen.told;
        let [ann, dee] = ["ann", "dee"].map(|who| median(took(broken, who, name)));
        text[1].push(format!("{name} {} of {}", ms(ann), ms(dee)));
        holds[1] &= 2 * ann >= dee && dee > 0;
        // Of four programs on a crowded machine one waits for its CPU as long as for dee.
        let less = quarter(took(fixed, "ann", name));
        text[2].push(format!("{name} {} against {}", ms(less), ms(ann)));
        holds[2] &= less > 0 && 3 * less <= ann;
    }
    let sentence = [
        "each program has a loop: it wakes up, is told of one or more, and serves them",
        "asked all at once, dee's question makes ann wait for half of its time or more",
        "asked in pieces, it makes her wait for a third of that at most, a quarter of the times or more",
    ];
    let all = sentence.into_iter().zip(text).zip(holds);
    all.map(|((sentence, text), holds)| Claim::new(sentence, text.join("; "), holds)).collect()
}
