//! The recording that is being made of a process, found from outside: its recorder holds the growing file open, and
//! proc(5) opens it again for whoever may look at that process. Nothing needs to be asked of a recorder, so one that is
//! stuck gives up its recording all the same. Step: **trace**.

use super::{procfs, stale};
use crate::record::handshake;
use crate::trace::{Progress, Reader};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Parents looked at for a recorder.
const MOST_PARENTS: usize = 64;

/// Why there is no recording of a process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such process.
    #[error("there is no process {0}; `ps` lists those there are")]
    NoProcess(u32),
    /// Nobody records it.
    #[error(
        "process {0} is not being recorded; start it with `loopscope record --ring 64M -- CMD` to be able to save what led to something"
    )]
    NotRecorded(u32),
    /// Its recorder belongs to somebody else.
    #[error(
        "process {0} is recorded by process {1}, which may not be looked at; be the same user or root"
    )]
    NotYours(u32, u32),
}

/// A recording in the making.
pub struct Running {
    /// The process that makes it.
    pub recorder: u32,
    /// Open, and growing.
    pub reader: Reader,
}

/// The recording of this process, or the one it makes itself.
///
/// # Errors
/// When nobody records it, or its recorder may not be looked at.
pub fn find(pid: u32) -> Result<Running, Error> {
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Error::NoProcess(pid));
    }
    let mut denied = None;
    for recorder in candidates(pid) {
        match growing(recorder) {
            Ok(Some(reader)) => return Ok(Running { recorder, reader }),
            Ok(None) => {}
            Err(_) => denied = denied.or(Some(recorder)),
        }
    }
    Err(denied.map_or(Error::NotRecorded(pid), |by| Error::NotYours(pid, by)))
}

/// Itself, whoever its environment names, and its parents.
fn candidates(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    all.extend(named(pid));
    let mut at = pid;
    for _ in 0..MOST_PARENTS {
        at = procfs::stat(at as i32).map_or(0, |s| s.parent as u32);
        if at <= 1 {
            break;
        }
        all.push(at);
    }
    all
}

/// The recorder whose meeting place stands in the environment that the process was started with.
fn named(pid: u32) -> Option<u32> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let key = format!("{}=", handshake::ENV);
    let socket = (environment.split(|b| *b == 0)).find_map(|v| v.strip_prefix(key.as_bytes()))?;
    let folder = Path::new(std::ffi::OsStr::from_bytes(socket)).parent()?;
    stale::maker(folder.file_name()?.to_str()?).and_then(|pid| u32::try_from(pid).ok())
}

/// The recording this process writes. A file that grows is locked by its writer.
fn growing(pid: u32) -> std::io::Result<Option<Reader>> {
    if procfs::comm(pid as i32).is_none_or(|name| name != env!("CARGO_PKG_NAME").as_bytes()) {
        return Ok(None);
    }
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let path: PathBuf = entry?.path();
        // Sockets, pipes and devices are not opened: that may do something.
        if !fs::metadata(&path).is_ok_and(|m| m.is_file()) {
            continue;
        }
        if let Ok(mut reader) = Reader::open(&path)
            && reader.refresh().is_ok_and(|p| p != Progress::Ended)
        {
            return Ok(Some(reader));
        }
    }
    Ok(None)
}
