//! A Tokio echo server, as it is or recorded by dial9 from the inside: what run.py and headofline.py compare
//! `loopscope record` with. Serves no step of the pipeline; it is the program under the recorder.
//!
//! Usage: echo-server PORT plain|poll|wake DIRECTORY [WORKERS]. `poll` records polls and the workers' parking, `wake` the
//! tasks and their wakes too. There is one worker thread where no number is given. A request that begins with `S` is
//! computed on for 20 ms before it is answered.

use std::io;
use std::time::{Duration, Instant};

use dial9::{Dial9HandleTokioExt, DiskBuffer, TokioAttachOptions, recorder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Bytes of traces that dial9 may keep; more than any run makes.
const DISK: u64 = 2 << 30;

/// How long a request that begins with `S` is computed on.
const SLOW: Duration = Duration::from_millis(20);

/// What a handler should not do: it keeps its thread, and no other task gets it.
#[inline(never)]
fn compute() {
    let began = Instant::now();
    while began.elapsed() < SLOW {
        std::hint::spin_loop();
    }
}

async fn echo(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0; 512];
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        if buffer[0] == b'S' {
            compute();
        }
        client.write_all(&buffer[..n]).await?;
    }
}

async fn serve(port: u16, wakes: bool) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        // dial9 sees a task's wakes only where it spawned the task.
        if wakes {
            drop(dial9::spawn(echo(client)));
        } else {
            tokio::spawn(echo(client));
        }
    }
}

/// Serves until SIGTERM.
async fn until_told(port: u16, wakes: bool) -> io::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    // A worker serves, as a server's tasks do; the main thread only waits.
    let serving = tokio::spawn(serve(port, wakes));
    tokio::select! {
        done = serving => done.map_err(io::Error::other)?,
        _ = end.recv() => Ok(()),
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, mode @ ("plain" | "poll" | "wake"), directory, more @ ..] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Err(io::Error::other(
            "usage: echo-server PORT plain|poll|wake DIRECTORY [WORKERS]",
        ));
    };
    let port = port.parse().map_err(io::Error::other)?;
    let workers = more.first().map_or(Ok(1), |text| text.parse());
    let mut runtime = Builder::new_multi_thread();
    let workers = workers.map_err(io::Error::other)?;
    runtime.worker_threads(workers).enable_all();
    if *mode == "plain" {
        return runtime.build()?.block_on(until_told(port, false));
    }
    let wakes = *mode == "wake";
    let buffer = DiskBuffer::builder()
        .base_path(directory)
        .max_total_size(DISK)
        .build()
        .map_err(io::Error::other)?;
    let recorder = recorder(buffer).build();
    let options = TokioAttachOptions::builder()
        .runtime_name("echo")
        .task_tracking_enabled(wakes)
        .build();
    let runtime = recorder
        .handle()
        .attach_tokio_runtime(runtime, options)
        .map_err(io::Error::other)?;
    let served = runtime.block_on(until_told(port, wakes));
    drop(runtime);
    recorder.graceful_shutdown(Duration::from_secs(20));
    served
}
