# code: never-registered
# bug: homework servers; accept, and nothing after it
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)
peer = connect(server)
peer.sendall(b"hello")
conns = {}
while seconds() < 6:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            if fixed:
                ep.register(c, select.EPOLLIN)
        else:
            conns[fd].recv(100)
leave()
