//! An echo server on Tokio with two worker threads, or as many as it is told: a program that knows nothing of loopscope, for
//! tests/peers and tests/head_of_line.rs. Told how many workers, it computes 20 ms on a request that begins with `S`.
//!
//! Usage: tokio_echo PORT [WORKERS]

use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

#[inline(never)]
fn compute() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(20) {
        std::hint::spin_loop();
    }
}

async fn echo(mut client: TcpStream, computes: bool) -> io::Result<()> {
    let mut buffer = vec![0; 65536];
    loop {
        match client.read(&mut buffer).await? {
            0 => return Ok(()),
            n => {
                if computes && buffer[0] == b'S' {
                    compute();
                }
                client.write_all(&buffer[..n]).await?;
            }
        }
    }
}

async fn serve(port: u16, computes: bool) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(echo(client, computes));
    }
}

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| io::Error::other("usage: tokio_echo PORT [WORKERS]"))?;
    let workers = std::env::args().nth(2).and_then(|n| n.parse().ok());
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers.unwrap_or(2))
        .enable_io()
        .build()?;
    runtime.block_on(serve(port, workers.is_some()))
}
