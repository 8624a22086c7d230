//! The calls that may block, as small numbers: each name is told to the recording once. Step: **event** → ring.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::record::event::{Kind, Space};
use crate::record::wire::Rec;
use crate::tls::Here;

/// Ids of a program's own names (the library's) end below this.
const FIRST: i32 = 1 << 20;

macro_rules! names {
    ($($variant:ident $text:literal,)*) => {
        /// A call that may block.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // each is the function it is called after
        pub enum Name { $($variant,)* }
        const TEXTS: &[&str] = &[$($text,)*];
    };
}

names! {
    Sleep "sleep",
    Usleep "usleep",
    Nanosleep "nanosleep",
    ClockNanosleep "clock_nanosleep",
    Fsync "fsync",
    Fdatasync "fdatasync",
    Syncfs "syncfs",
    SyncFileRange "sync_file_range",
    Msync "msync",
    Getaddrinfo "getaddrinfo",
    Getnameinfo "getnameinfo",
    Gethostbyname "gethostbyname",
    Gethostbyaddr "gethostbyaddr",
    Wait "wait",
    Waitpid "waitpid",
    Waitid "waitid",
    Flock "flock",
    Lockf "lockf",
    FcntlLock "fcntl(F_SETLKW)",
    System "system",
    Semop "semop",
    SemWait "sem_wait",
    Sigwait "sigwait",
    Pause "pause",
    Pclose "pclose",
    PthreadJoin "pthread_join",
}

/// The generation of the process whose recording knows a name.
static TOLD: [AtomicU32; TEXTS.len()] = [const { AtomicU32::new(0) }; TEXTS.len()];

/// The id of a name, its text told first.
pub fn id(here: &Here, name: Name) -> i32 {
    let at = name as usize;
    let id = FIRST + at as i32;
    // Relaxed: the text is immutable and was there before the program started.
    if let (Some(told), Some(text)) = (TOLD.get(at), TEXTS.get(at))
        && told.load(Ordering::Relaxed) != here.generation
    {
        let rec = Rec {
            ticks: here.now(),
            kind: Kind::Name,
            aux: Space::Call.code(),
            x: id,
            ..Rec::default()
        };
        if here.ring().push_text(&rec, text.as_bytes()) {
            told.store(here.generation, Ordering::Relaxed);
        }
    }
    id
}
