# code: et-eof-missed
# bug: epoll(7), R24 of the house; the last bytes and the end come with one edge
from lab import *

server, ep = listener(), select.epoll()
# All is said before anybody is accepted, however fast or slow the machine is.
speakers = [connect(server) for _ in range(3)]
for s in speakers:
    s.sendall(b"bye")
    s.shutdown(socket.SHUT_WR)
ep.register(server, select.EPOLLIN)
conns = {}
while seconds() < 4:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            ep.register(c, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
            continue
        data = conns[fd].recv(100)
        if fixed and data and not conns[fd].recv(100):
            conns.pop(fd).close()
leave()
