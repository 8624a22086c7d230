//! async-runtime: what stands behind `await`, in sixty lines. Each client has a task: a future that the executor polls. A poll runs the
//! task from one await to the next; there it either has what it waits for and goes on, or says *pending* and gives the thread
//! back. Who polls it again? For bytes, epoll: the client's token is the task's number. For everything else a waker: any
//! thread may call it, it puts the task's number into a channel and rings an eventfd, which is registered like a client.
//!
//! Tasks look like threads, and are none: there is one thread, and only an await gives it back. slow's task calls a function that
//! sleeps for 40 ms. It is an `async fn`, it compiles, it works, and nobody else is polled meanwhile.
//!
//! The repair: let another thread sleep, and await its waker. Runtimes call that `spawn_blocking`.

use loopscope::mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};
use loopscope::{Recorder, Supplier, task};
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::{self, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{self as future, Context, Wake};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::{ms, waits};
use super::kit::{connect, start, unless_eagain};
use super::{Claim, Knobs, Random, Seen};

const NAMES: [&str; 3] = ["slow", "ann", "bob"];
const BELL: Token = Token(100);
const SLEEP: Duration = Duration::from_millis(40);
const QUICK: Duration = Duration::from_millis(5);
/// slow asks this often.
const PERIOD: Duration = Duration::from_millis(100);

/// Runs server and clients.
pub fn run(knobs: &Knobs) -> io::Result<()> {
    let _recorder = Recorder::from_env();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    println!("three clients, a task each, server on {address}");
    let end = Instant::now() + knobs.time;
    let (poll, (wakes, woken)) = (Poll::new()?, mpsc::channel());
    loopscope::name_loop(&poll, "executor");
    let bell = Arc::new(Waker::new(poll.registry(), BELL)?);
    let mut tasks = Vec::new();
    thread::scope(|scope| {
        for (id, stream) in connect(address, NAMES.len())?.into_iter().enumerate() {
            let random = Random::new(knobs.seed, id as u64);
            start(scope, NAMES[id], move || ask(id, stream, end, random))?;
            let (client, _) = listener.accept()?;
            client.set_nonblocking(true)?;
            let mut client = TcpStream::from_std(client);
            loopscope::name_fd(&client, NAMES[id]);
            let registry = poll.registry();
            registry.register(&mut client, Token(id), Interest::READABLE)?;
            let task: Task = Box::pin(serve(client, knobs.fixed));
            let alarm = Arc::new(Alarm(id, wakes.clone(), bell.clone()));
            tasks.push(Some((task, alarm.into())));
        }
        Executor { poll, tasks, woken }.run()
    })
}

/// A client's task. Between two awaits nobody else runs.
async fn serve(mut client: TcpStream, fixed: bool) -> io::Result<()> {
    loop {
        match read(&mut client).await? {
            None => return Ok(()),
            // The trap: a call that sleeps is no await, whatever the function around it is called.
            Some(b's') if !fixed => loopscope::call("sleep", || thread::sleep(SLEEP)),
            Some(b's') => elsewhere(SLEEP).await,
            Some(_) => {}
        }
        client.write_all(b".")?;
    }
}

/// A byte, as soon as there is one. Nobody has to be told who waits for it: the client's token is the task's number.
async fn read(client: &mut TcpStream) -> io::Result<Option<u8>> {
    let mut byte = [0];
    poll_fn(|_| match unless_eagain(client.read(&mut byte)) {
        Ok(None) => future::Poll::Pending,
        Ok(Some(n)) => future::Poll::Ready(Ok((n > 0).then_some(byte[0]))),
        Err(e) => future::Poll::Ready(Err(e)),
    })
    .await
}

/// Has another thread sleep, which wakes this task afterwards.
async fn elsewhere(time: Duration) {
    let mut done: Option<mpsc::Receiver<()>> = None;
    poll_fn(|context| {
        if let Some(done) = &done {
            // Polled again: by its waker, or for nothing.
            let ready = |()| future::Poll::Ready(());
            return done.try_recv().map_or(future::Poll::Pending, ready);
        }
        let (says, hears) = mpsc::channel();
        let waker = context.waker().clone();
        done = Some(hears);
        thread::spawn(move || {
            thread::sleep(time);
            let _ = says.send(()); // the result first,
            waker.wake(); // the bell second
        });
        future::Poll::Pending
    })
    .await;
}

/// What a waker is made of: the task, where its number goes, and the bell.
struct Alarm(usize, mpsc::Sender<usize>, Arc<Waker>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // An executor that has ended needs neither.
        let _ = self.1.send(self.0);
        let _ = self.2.wake(); // eight bytes into an eventfd: the wait returns
    }
}

type Task = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// The executor: tasks with their wakers, and whom these have woken.
struct Executor {
    poll: Poll,
    tasks: Vec<Option<(Task, future::Waker)>>,
    woken: mpsc::Receiver<usize>,
}

impl Executor {
    /// Polls a task: runs it to its next await. One that is done is dropped, and its connection with it.
    fn step(&mut self, id: usize) {
        if let Some((task, waker)) = &mut self.tasks[id] {
            let context = &mut Context::from_waker(waker);
            if task.as_mut().poll(context).is_ready() {
                self.tasks[id] = None;
            }
        }
    }

    /// The event loop, until all tasks are done.
    fn run(mut self) -> io::Result<()> {
        // A future does nothing before it is polled: each up to its first await.
        (0..self.tasks.len()).for_each(|id| self.step(id));
        let mut events = Events::with_capacity(16);
        while self.tasks.iter().any(Option::is_some) {
            self.poll.poll(&mut events, None)?;
            for event in &events {
                match event.token() {
                    BELL => {
                        while let Ok(id) = self.woken.try_recv() {
                            let _task = task::begin("woken task", id as u64);
                            self.step(id);
                        }
                    }
                    Token(id) => self.step(id),
                }
            }
        }
        Ok(())
    }
}

/// A client: a question, its answer, a pause.
fn ask(id: usize, mut stream: net::TcpStream, end: Instant, mut random: Random) -> io::Result<()> {
    let supplier = Supplier::new(&stream)?;
    thread::sleep(if id == 0 { SLEEP } else { QUICK }); // the others first
    while Instant::now() < end {
        let next = Instant::now() + PERIOD;
        supplier.supplied(|| stream.write(&NAMES[id].as_bytes()[..1]))?;
        stream.read_exact(&mut [0])?;
        thread::sleep(match id {
            0 => next.saturating_duration_since(Instant::now()),
            _ => QUICK + Duration::from_micros(random.below(6_000)),
        });
    }
    Ok(())
}

/// What a recording must show.
pub fn claims(broken: &Seen, fixed: &Seen) -> Vec<Claim> {
    let mut claims = Vec::new();
    for name in &NAMES[1..] {
        let (before, after) = waits(broken, fixed, name, 0.95);
        claims.push(Claim::new(
            format!("one in twenty of {name}'s waits for a poll of its task is 15 ms or longer, 4 times half of the repaired"),
            format!("{} against {}", ms(before), ms(after)),
            before >= 15_000_000 && before / 4 >= after,
        ));
    }
    let answers = [broken, fixed].map(|seen| seen.fd("slow").bytes_out);
    claims.push(Claim::new(
        "slow gets its answers all the same",
        format!("{} and {}", answers[0], answers[1]),
        answers[0] > 0 && 2 * answers[1] >= answers[0],
    ));
    claims
}
