# code: short-write-dropped
# bug: homework servers; what write returns is not looked at
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLIN)


def ask():
    peer.sendall(b"?")
    time.sleep(1)
    while peer.recv(1 << 20):
        time.sleep(0.01)


client(ask)
rest = b""
while seconds() < 4:
    for fd, mask in ep.poll(0.5):
        if mask & select.EPOLLIN:
            c.recv(10)
            rest = b"x" * 20_000_000
        if rest:
            n = c.send(rest)
            rest = rest[n:] if fixed else b""
            ep.modify(c, select.EPOLLIN | (select.EPOLLOUT if rest else 0))
leave()
