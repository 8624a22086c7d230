//! The files of the epoll model: what each says when polled, and whom reads, writes and closes wake.

use super::belief::Belief;
use super::call::{Answer, Errno, Fd, How, bits};
use super::instance::Instance;
use super::rule::Rule;
use super::sizes::MESSAGE;
use super::wake::Queue;
use super::world::{Id, World};
use std::collections::VecDeque;

/// An open file description.
#[derive(Clone, Debug)]
pub(super) enum File {
    /// Closed for good.
    Gone,
    PipeRead(usize),
    PipeWrite(usize),
    Eventfd {
        count: u64,
        semaphore: bool,
    },
    Socket(Socket),
    Epoll(Instance),
    Regular {
        size: u64,
        at: u64,
    },
}

/// One end of a pair.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    peer: Id,
    shut_read: bool,
    shut_write: bool,
    reset: bool,
    /// What waits to be read: bytes left and what they cost their sender.
    messages: VecDeque<(u64, u64)>,
    /// How much of the send buffer is in use.
    charged: u64,
}

pub(super) fn failed(errno: i32) -> Answer {
    Answer::Failed(Errno(errno))
}

impl Socket {
    pub(super) fn new(peer: Id) -> Socket {
        Socket {
            peer,
            shut_read: false,
            shut_write: false,
            reset: false,
            messages: VecDeque::new(),
            charged: 0,
        }
    }

    /// unix_writable: at most a quarter of the buffer is in use; `freed` is 1 while a message is being freed.
    fn writable(&self, send_buffer: u64, freed: u64) -> bool {
        (self.charged + 1 + freed) * 4 <= send_buffer
    }
}

impl World {
    /// What poll(2) would say. Of an epoll descriptor: whether an item is ready, which drops those that are not.
    pub(super) fn poll(&mut self, id: Id) -> u32 {
        let readable = bits::IN | bits::RDNORM;
        match &self.files[id] {
            File::Gone | File::Regular { .. } => 0,
            File::PipeRead(pipe) => {
                let pipe = &mut self.pipes[*pipe];
                pipe.polled = true;
                let mut mask = if pipe.pages.is_empty() { 0 } else { readable };
                if !pipe.writer {
                    mask |= bits::HUP;
                    if self.believes(Belief::EofIsIn) {
                        mask |= readable;
                    }
                    self.note(Rule::PipeHup, None);
                }
                mask
            }
            File::PipeWrite(pipe) => {
                let pipe = &mut self.pipes[*pipe];
                pipe.polled = true;
                let (full, reader) = (pipe.full(), pipe.reader);
                if full {
                    self.note(Rule::PipeFull, None);
                }
                if !reader {
                    self.note(Rule::PipeErr, None);
                }
                (if full { 0 } else { bits::OUT | bits::WRNORM })
                    | (if reader { 0 } else { bits::ERR })
            }
            File::Eventfd { count, .. } => {
                let input = if *count > 0 { bits::IN } else { 0 };
                let room = u64::MAX - 1 > *count;
                input | if room { bits::OUT } else { 0 }
            }
            File::Socket(socket) => self.poll_socket(socket.clone()),
            File::Epoll(_) => self.poll_instance(id),
        }
    }

    fn poll_socket(&mut self, socket: Socket) -> u32 {
        let mut mask = 0;
        if socket.reset {
            mask |= bits::ERR;
            self.note(Rule::SocketReset, None);
        }
        if socket.shut_read && (socket.shut_write || self.believes(Belief::HalfIsHup)) {
            mask |= bits::HUP;
            self.note(Rule::SocketHup, None);
        }
        if socket.shut_read {
            mask |= bits::RDHUP | bits::IN | bits::RDNORM;
            self.note(Rule::SocketHalf, None);
        }
        if !socket.messages.is_empty() {
            mask |= bits::IN | bits::RDNORM;
        }
        if socket.writable(self.sizes.send_buffer, 0) {
            mask |= bits::OUT | bits::WRNORM | bits::WRBAND;
        }
        mask
    }

    /// write(2)
    pub(super) fn write(&mut self, id: Id, count: u64) -> Answer {
        match &mut self.files[id] {
            File::Gone | File::PipeRead(_) => failed(libc::EBADF),
            File::Epoll(_) => failed(libc::EINVAL),
            File::Regular { size, at } => {
                *at = at.saturating_add(count);
                *size = (*size).max(*at);
                Answer::Count(count)
            }
            File::Eventfd { count: sum, .. } => {
                if count == u64::MAX {
                    return failed(libc::EINVAL);
                }
                if u64::MAX - *sum <= count {
                    return failed(libc::EAGAIN);
                }
                *sum += count;
                self.note(Rule::EventfdCount, None);
                self.wake(Queue::File(id), bits::IN);
                Answer::Count(8)
            }
            File::PipeWrite(_) | File::Socket(_) if count == 0 => Answer::Count(0),
            File::PipeWrite(pipe) => {
                let index = *pipe;
                let page = self.sizes.page;
                let pipe = &mut self.pipes[index];
                let (was_empty, polled) = (pipe.pages.is_empty() && pipe.reader, pipe.polled);
                let answer = pipe.fill(page, count);
                if was_empty || polled {
                    self.note(Rule::PipeWrite, None);
                    self.wake(Queue::PipeRead(index), bits::IN | bits::RDNORM);
                }
                answer
            }
            File::Socket(_) => self.send(id, count),
        }
    }

    fn send(&mut self, id: Id, count: u64) -> Answer {
        let (most, buffer) = (
            (self.sizes.send_buffer / 2).saturating_sub(64).min(MESSAGE),
            self.sizes.send_buffer,
        );
        let mut sent = 0;
        let refusal = loop {
            let File::Socket(socket) = &mut self.files[id] else {
                break libc::ENOTSOCK;
            };
            if socket.shut_write {
                break libc::EPIPE;
            }
            if sent == count {
                return Answer::Count(sent);
            }
            if socket.charged >= buffer {
                break libc::EAGAIN;
            }
            let bytes = (count - sent).min(most);
            let cost = self.sizes.charge(bytes);
            socket.charged += cost;
            let peer = socket.peer;
            if let File::Socket(peer) = &mut self.files[peer] {
                peer.messages.push_back((bytes, cost));
            }
            sent += bytes;
            self.note(Rule::SocketData, None);
            let arrived = bits::IN | bits::PRI | bits::RDNORM | bits::RDBAND;
            self.wake(Queue::File(peer), arrived);
        };
        match sent {
            0 => failed(refusal),
            sent => Answer::Count(sent),
        }
    }

    /// read(2)
    pub(super) fn read(&mut self, id: Id, count: u64) -> Answer {
        let one = self.believes(Belief::EventfdTakesOne);
        let any = self.believes(Belief::AnyRoomIsOut);
        match &mut self.files[id] {
            File::Gone | File::PipeWrite(_) => failed(libc::EBADF),
            File::Epoll(_) => failed(libc::EINVAL),
            File::Regular { size, at } => {
                let bytes = size.saturating_sub(*at).min(count);
                *at += bytes;
                Answer::Count(bytes)
            }
            File::Eventfd { count: 0, .. } => failed(libc::EAGAIN),
            File::Eventfd { count, semaphore } => {
                let semaphore = *semaphore;
                let taken = if semaphore || one { 1 } else { *count };
                *count -= taken;
                self.note(
                    match semaphore {
                        true => Rule::EventfdSemaphore,
                        false => Rule::EventfdCount,
                    },
                    None,
                );
                self.note(Rule::EventfdRead, None);
                self.wake(Queue::File(id), bits::OUT);
                Answer::Count(taken)
            }
            File::PipeRead(_) | File::Socket(_) if count == 0 => Answer::Count(0),
            File::PipeRead(pipe) => {
                let index = *pipe;
                let was_full = self.pipes[index].full();
                let (answer, mut room) = self.pipes[index].drain(count);
                if any && was_full && !room {
                    self.pipes[index].most += 1;
                    room = true;
                }
                if room {
                    self.note(Rule::PipeRoom, None);
                    self.wake(Queue::PipeWrite(index), bits::OUT | bits::WRNORM);
                }
                answer
            }
            File::Socket(_) => self.receive(id, count),
        }
    }

    fn receive(&mut self, id: Id, count: u64) -> Answer {
        let mut read = 0;
        while read < count {
            let File::Socket(socket) = &mut self.files[id] else {
                return failed(libc::ENOTSOCK);
            };
            let Some((left, cost)) = socket.messages.front_mut() else {
                if read > 0 {
                    break;
                }
                return match (std::mem::take(&mut socket.reset), socket.shut_read) {
                    (true, _) => failed(libc::ECONNRESET),
                    (false, true) => Answer::Count(0),
                    (false, false) => failed(libc::EAGAIN),
                };
            };
            let bytes = (*left).min(count - read);
            *left -= bytes;
            read += bytes;
            if *left == 0 {
                let (cost, sender) = (*cost, socket.peer);
                socket.messages.pop_front();
                self.freed(sender, cost);
            }
        }
        Answer::Count(read)
    }

    /// A message of this sender's is no more (sock_wfree).
    fn freed(&mut self, sender: Id, cost: u64) {
        let buffer = self.sizes.send_buffer;
        let File::Socket(socket) = &mut self.files[sender] else {
            return;
        };
        socket.charged -= cost;
        if socket.writable(buffer, 1) {
            self.note(Rule::SocketRoom, None);
            let room = bits::OUT | bits::WRNORM | bits::WRBAND;
            self.wake(Queue::File(sender), room);
        }
    }

    /// shutdown(2)
    pub(super) fn shutdown(&mut self, id: Id, how: How) -> Answer {
        let File::Socket(socket) = &mut self.files[id] else {
            return failed(libc::ENOTSOCK);
        };
        let (read, write) = (how != How::Write, how != How::Read);
        socket.shut_read |= read;
        socket.shut_write |= write;
        let peer = socket.peer;
        // sk_state_change wakes with no event named: nobody's mask keeps it out.
        self.wake(Queue::File(id), 0);
        if let File::Socket(peer) = &mut self.files[peer] {
            peer.shut_read |= write;
            peer.shut_write |= read;
        }
        self.wake(Queue::File(peer), 0);
        Answer::Done
    }

    /// Bytes that wait to be read on a number; of an eventfd whether its 8 do. Nothing where there is no such thing.
    pub fn unread(&self, fd: Fd) -> Option<u64> {
        match &self.files[*self.numbers.get(&fd)?] {
            File::PipeRead(pipe) => Some(self.pipes[*pipe].bytes()),
            File::Socket(socket) => Some(socket.messages.iter().map(|(left, _)| left).sum()),
            File::Eventfd { count, .. } => Some(if *count > 0 { 8 } else { 0 }),
            _ => None,
        }
    }

    /// The last number of this description was closed, and its items are gone: what its file does then.
    pub(super) fn release(&mut self, id: Id) {
        match std::mem::replace(&mut self.files[id], File::Gone) {
            File::Gone | File::Eventfd { .. } | File::Regular { .. } => {}
            File::PipeRead(pipe) => {
                self.pipes[pipe].reader = false;
                self.release_pipe(pipe);
            }
            File::PipeWrite(pipe) => {
                self.pipes[pipe].writer = false;
                self.release_pipe(pipe);
            }
            File::Epoll(instance) => {
                for item in instance.items {
                    self.unwatch(item.file, id, item.id);
                }
            }
            File::Socket(socket) => {
                let File::Socket(peer) = &mut self.files[socket.peer] else {
                    return;
                };
                (peer.shut_read, peer.shut_write) = (true, true);
                peer.reset |= !socket.messages.is_empty();
                self.wake(Queue::File(socket.peer), 0);
                for (_, cost) in socket.messages {
                    self.freed(socket.peer, cost);
                }
            }
        }
    }

    fn release_pipe(&mut self, pipe: usize) {
        if self.pipes[pipe].reader != self.pipes[pipe].writer {
            self.wake(Queue::PipeRead(pipe), 0);
            self.wake(Queue::PipeWrite(pipe), 0);
        }
    }
}
