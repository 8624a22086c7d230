//! The rules of epoll behind each step: one sentence, the man page it stands in, the kernel function that does it.

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// An item is (open file description, number).
    Key,
    /// ADD of what is there.
    Exists,
    /// MOD or DEL of what is not there.
    Missing,
    /// A number that stands for nothing.
    NotOpen,
    /// A file without poll.
    NotPollable,
    /// Not an epoll descriptor, itself, or no such operation.
    Invalid,
    /// EPOLLEXCLUSIVE's own conditions.
    ExclusiveTerms,
    /// maxevents must be positive.
    MaxeventsRange,
    /// Instances that watch each other, or too deep.
    Loop,
    /// ADD looks at the file at once.
    AddLooks,
    /// MOD looks again.
    ModLooks,
    /// MOD of a queued item keeps its place.
    ModKeepsPlace,
    /// DEL takes the item out of the ready list, too.
    DelUnqueues,
    /// A change queues the item at the end.
    Queued,
    /// It stands in the list once.
    QueuedOnce,
    /// A change nobody asked for.
    NotAsked,
    /// One change, several items: the last registered comes first.
    NewestFirst,
    /// Asked again when fetched.
    Recheck,
    /// Drained meanwhile: no event.
    RecheckFailed,
    /// All that is ready now, not only what changed.
    WholeMask,
    /// Queued again at the end after a report.
    Level,
    /// Out of the list after a report.
    Edge,
    /// Disarmed after a report.
    Oneshot,
    /// Disarmed: tells nothing, not even a hang-up.
    Disarmed,
    /// The rest keeps its place.
    MaxeventsRest,
    /// ERR and HUP are always asked for.
    ErrHupUnasked,
    /// RDHUP is not.
    RdhupAsked,
    /// The last number of a description is closed.
    LastClose,
    /// A number is closed, the description lives on.
    Ghost,
    /// The last writer has gone.
    PipeHup,
    /// The last reader has gone.
    PipeErr,
    /// Each write to a pipe wakes.
    PipeWrite,
    /// A full pipe has a free page again.
    PipeRoom,
    /// A full pipe is not writable.
    PipeFull,
    /// A message arrived.
    SocketData,
    /// Half closed by the peer.
    SocketHalf,
    /// Closed by the peer, or both halves shut.
    SocketHup,
    /// Closed with data unread.
    SocketReset,
    /// A message was read whole.
    SocketRoom,
    /// An eventfd's counter.
    EventfdCount,
    /// EFD_SEMAPHORE
    EventfdSemaphore,
    /// Reading tells writers.
    EventfdRead,
    /// An inner instance is readable while its ready list holds something.
    NestedReady,
    /// An inner item's wake-up goes on to the outer.
    NestedWake,
    /// A fetched event is not taken back.
    FetchedStays,
}

/// What there is to say of a rule.
struct Text {
    code: &'static str,
    sentence: &'static str,
    page: &'static str,
    function: &'static str,
}

const fn text(
    code: &'static str,
    sentence: &'static str,
    page: &'static str,
    function: &'static str,
) -> Text {
    Text {
        code,
        sentence,
        page,
        function,
    }
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 45] = [
        Rule::Key,
        Rule::Exists,
        Rule::Missing,
        Rule::NotOpen,
        Rule::NotPollable,
        Rule::Invalid,
        Rule::ExclusiveTerms,
        Rule::MaxeventsRange,
        Rule::Loop,
        Rule::AddLooks,
        Rule::ModLooks,
        Rule::ModKeepsPlace,
        Rule::DelUnqueues,
        Rule::Queued,
        Rule::QueuedOnce,
        Rule::NotAsked,
        Rule::NewestFirst,
        Rule::Recheck,
        Rule::RecheckFailed,
        Rule::WholeMask,
        Rule::Level,
        Rule::Edge,
        Rule::Oneshot,
        Rule::Disarmed,
        Rule::MaxeventsRest,
        Rule::ErrHupUnasked,
        Rule::RdhupAsked,
        Rule::LastClose,
        Rule::Ghost,
        Rule::PipeHup,
        Rule::PipeErr,
        Rule::PipeWrite,
        Rule::PipeRoom,
        Rule::PipeFull,
        Rule::SocketData,
        Rule::SocketHalf,
        Rule::SocketHup,
        Rule::SocketReset,
        Rule::SocketRoom,
        Rule::EventfdCount,
        Rule::EventfdSemaphore,
        Rule::EventfdRead,
        Rule::NestedReady,
        Rule::NestedWake,
        Rule::FetchedStays,
    ];

    /// Its stable name.
    pub fn code(self) -> &'static str {
        self.text().code
    }

    /// The rule in a sentence.
    pub fn sentence(self) -> &'static str {
        self.text().sentence
    }

    /// The man page that says it, or the nearest to it.
    pub fn page(self) -> &'static str {
        self.text().page
    }

    /// The kernel function that does it.
    pub fn function(self) -> &'static str {
        self.text().function
    }

    #[rustfmt::skip]
    fn text(self) -> Text {
        match self {
            Rule::Key => text("key", "an item is an open file description under a number: a dup is another item", "epoll(7), questions 1 and 2", "ep_find, ep_cmp_ffd (fs/eventpoll.c)"),
            Rule::Exists => text("exists", "the same description under the same number cannot be added twice: EEXIST", "epoll_ctl(2), EEXIST", "do_epoll_ctl (fs/eventpoll.c)"),
            Rule::Missing => text("missing", "what is not in the interest list under this number cannot be changed: ENOENT", "epoll_ctl(2), ENOENT", "do_epoll_ctl (fs/eventpoll.c)"),
            Rule::NotOpen => text("not-open", "a number that stands for no open file is refused before anything else: EBADF", "epoll_ctl(2), EBADF", "do_epoll_ctl (fs/eventpoll.c)"),
            Rule::NotPollable => text("not-pollable", "a regular file cannot be waited for: EPERM, whatever the operation", "epoll_ctl(2), EPERM", "do_epoll_ctl, file_can_poll (fs/eventpoll.c)"),
            Rule::Invalid => text("invalid", "not an epoll descriptor, an epoll descriptor into itself, or no such operation: EINVAL", "epoll_ctl(2), EINVAL", "do_epoll_ctl (fs/eventpoll.c)"),
            Rule::ExclusiveTerms => text("exclusive-terms", "EPOLLEXCLUSIVE is for ADD only, without ONESHOT, RDHUP and PRI, and never MODified: EINVAL", "epoll_ctl(2), EPOLLEXCLUSIVE", "do_epoll_ctl, EPOLLEXCLUSIVE_OK_BITS (fs/eventpoll.c)"),
            Rule::MaxeventsRange => text("maxevents-range", "maxevents must be greater than zero: EINVAL", "epoll_wait(2), EINVAL", "ep_check_params (fs/eventpoll.c)"),
            Rule::Loop => text("loop", "epoll descriptors must not watch each other in a circle, nor more than five deep: ELOOP", "epoll_ctl(2), ELOOP", "ep_loop_check (fs/eventpoll.c)"),
            Rule::AddLooks => text("add-looks", "ADD looks at once: what is ready already is queued", "epoll(7), questions 8 and 9", "ep_insert (fs/eventpoll.c)"),
            Rule::ModLooks => text("mod-looks", "MOD looks again: what is ready under the new mask is queued, edge-triggered or not", "epoll(7), question 8", "ep_modify (fs/eventpoll.c)"),
            Rule::ModKeepsPlace => text("mod-keeps-place", "MOD of a queued item changes its mask and data at once, and not its place", "epoll_ctl(2), EPOLL_CTL_MOD", "ep_modify (fs/eventpoll.c)"),
            Rule::DelUnqueues => text("del-unqueues", "DEL takes an item out of the ready list: what was not fetched is never told", "epoll_ctl(2), EPOLL_CTL_DEL", "ep_remove (fs/eventpoll.c)"),
            Rule::Queued => text("queued", "a change of the file puts the item at the end of the ready list", "epoll(7), the ready list", "ep_poll_callback (fs/eventpoll.c)"),
            Rule::QueuedOnce => text("queued-once", "an item stands in the ready list once: further changes before a wait merge and do not move it", "epoll(7), question 7", "ep_poll_callback, ep_is_linked (fs/eventpoll.c)"),
            Rule::NotAsked => text("not-asked", "a change that the mask does not ask for does not queue the item", "epoll_ctl(2), events", "ep_poll_callback (fs/eventpoll.c)"),
            Rule::NewestFirst => text("newest-first", "one change that concerns several items queues the last registered first", "in no man page", "add_wait_queue (kernel/sched/wait.c)"),
            Rule::Recheck => text("recheck", "an item is asked again when it is fetched, and tells what is true then", "epoll(7), the ready list", "ep_send_events, ep_item_poll (fs/eventpoll.c)"),
            Rule::RecheckFailed => text("recheck-failed", "an item that is not ready any more when its turn comes is dropped without an event", "in no man page", "ep_send_events (fs/eventpoll.c)"),
            Rule::WholeMask => text("whole-mask", "an event carries everything that is ready and asked for, not only what has changed", "epoll(7), question 7", "ep_item_poll (fs/eventpoll.c)"),
            Rule::Level => text("level", "a level-triggered item goes to the end of the ready list when it is reported, and is asked again at the next wait", "epoll(7), level-triggered and edge-triggered", "ep_send_events (fs/eventpoll.c)"),
            Rule::Edge => text("edge", "an edge-triggered item leaves the ready list when it is reported; only a further change queues it again", "epoll(7), level-triggered and edge-triggered", "ep_send_events (fs/eventpoll.c)"),
            Rule::Oneshot => text("oneshot", "a one-shot item is disarmed by its report and stays registered; MOD arms it again", "epoll_ctl(2), EPOLLONESHOT", "ep_send_events, EP_PRIVATE_BITS (fs/eventpoll.c)"),
            Rule::Disarmed => text("disarmed", "a disarmed item tells nothing, not even a hang-up or an error", "epoll_ctl(2), EPOLLONESHOT", "ep_poll_callback (fs/eventpoll.c)"),
            Rule::MaxeventsRest => text("maxevents-rest", "what does not fit stays at the head of the ready list, before what was just reported: so waits take turns", "epoll_wait(2), notes", "ep_send_events, ep_done_scan (fs/eventpoll.c)"),
            Rule::ErrHupUnasked => text("err-hup-unasked", "ERR and HUP are told whether asked for or not", "epoll_ctl(2), EPOLLERR and EPOLLHUP", "do_epoll_ctl (fs/eventpoll.c)"),
            Rule::RdhupAsked => text("rdhup-asked", "RDHUP is told only to those who ask for it", "epoll_ctl(2), EPOLLRDHUP", "ep_item_poll (fs/eventpoll.c)"),
            Rule::LastClose => text("last-close", "the close of the last number of an open file description removes its items, silently", "epoll(7), question 6", "eventpoll_release_file (fs/eventpoll.c)"),
            Rule::Ghost => text("ghost", "closing a number removes nothing while a dup keeps the description open: its events still come", "epoll(7), question 6", "__fput, eventpoll_release (fs/file_table.c)"),
            Rule::PipeHup => text("pipe-hup", "a pipe whose last writer has gone says HUP, and IN only while bytes are left", "poll(2), POLLHUP", "pipe_poll, pipe_release (fs/pipe.c)"),
            Rule::PipeErr => text("pipe-err", "a pipe whose last reader has gone says ERR to its writer", "poll(2), POLLERR", "pipe_poll, pipe_release (fs/pipe.c)"),
            Rule::PipeWrite => text("pipe-write", "each write to a pipe that is polled is a change for its readers, whether bytes were left or not", "pipe(7)", "pipe_write, poll_usage (fs/pipe.c)"),
            Rule::PipeRoom => text("pipe-room", "a full pipe is writable again when a page of it has been read to its end", "pipe(7), pipe capacity", "pipe_read (fs/pipe.c)"),
            Rule::PipeFull => text("pipe-full", "a pipe is not writable while all its pages are in use, however few bytes they hold", "pipe(7), pipe capacity", "pipe_poll, pipe_full (fs/pipe.c)"),
            Rule::SocketData => text("socket-data", "each message that arrives is a change for the reader", "unix(7)", "unix_stream_sendmsg, sock_def_readable (net/)"),
            Rule::SocketHalf => text("socket-half", "a socket whose peer has shut down writing says IN (read gives 0) and RDHUP", "epoll_ctl(2), EPOLLRDHUP", "unix_poll, unix_shutdown (net/unix/af_unix.c)"),
            Rule::SocketHup => text("socket-hup", "a socket with both halves shut, or whose peer is closed, says HUP besides IN and RDHUP", "poll(2), POLLHUP", "unix_poll, unix_release_sock (net/unix/af_unix.c)"),
            Rule::SocketReset => text("socket-reset", "a peer that closes with bytes unread leaves ERR behind (ECONNRESET), until a read fetches it", "unix(7)", "unix_release_sock (net/unix/af_unix.c)"),
            Rule::SocketRoom => text("socket-room", "each message that the peer has read to its end is an OUT change for the writer, if at most a quarter of its buffer is in use", "unix(7)", "unix_write_space, unix_writable (net/unix/af_unix.c)"),
            Rule::EventfdCount => text("eventfd-count", "an eventfd adds up what is written; one read takes it all", "eventfd(2)", "eventfd_write, eventfd_read (fs/eventfd.c)"),
            Rule::EventfdSemaphore => text("eventfd-semaphore", "an eventfd made with EFD_SEMAPHORE gives 1 to each read and stays ready until it is 0", "eventfd(2), EFD_SEMAPHORE", "eventfd_ctx_do_read (fs/eventfd.c)"),
            Rule::EventfdRead => text("eventfd-read", "each read of an eventfd is an OUT change", "eventfd(2)", "eventfd_read (fs/eventfd.c)"),
            Rule::NestedReady => text("nested-ready", "an epoll descriptor says IN while one of its items is ready", "epoll(7), question 3", "ep_eventpoll_poll (fs/eventpoll.c)"),
            Rule::FetchedStays => text("fetched-stays", "an event that was fetched stays in the program's batch, whatever becomes of its registration", "epoll(7), event cache", "ep_send_events (fs/eventpoll.c)"),
            Rule::NestedWake => text("nested-wake", "a change of an item is a change of the epoll descriptor it is registered with", "epoll(7), question 3", "ep_poll_safewake (fs/eventpoll.c)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_is_told_once() {
        let codes: BTreeSet<&str> = Rule::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Rule::ALL.len());
        let sentences: BTreeSet<&str> = Rule::ALL.iter().map(|r| r.sentence()).collect();
        assert_eq!(sentences.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(rule.function().contains('('), "{}", rule.code());
            assert!(!rule.page().is_empty() && !rule.sentence().ends_with('.'));
        }
    }
}
