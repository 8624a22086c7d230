//! A Tokio echo server with one worker thread, as it is or recorded by dial9 from the inside: what run.py compares
//! `loopscope record` with. Serves no step of the pipeline; it is the program under the recorder.
//!
//! Usage: echo-server PORT plain|poll|wake DIRECTORY. `poll` records polls and the workers' parking, `wake` the tasks
//! and their wakes too.

use std::io;
use std::time::Duration;

use dial9::{Dial9HandleTokioExt, DiskBuffer, TokioAttachOptions, recorder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Bytes of traces that dial9 may keep; more than any run makes.
const DISK: u64 = 2 << 30;

async fn echo(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut buffer = [0; 512];
    loop {
        let n = client.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
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
    let [port, mode @ ("plain" | "poll" | "wake"), directory] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Err(io::Error::other(
            "usage: echo-server PORT plain|poll|wake DIRECTORY",
        ));
    };
    let port = port.parse().map_err(io::Error::other)?;
    let mut runtime = Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all();
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
