# code: fd-leak
# bug: homework servers; taken off the loop when the other side has gone, and never closed
# threshold: leak_after = "2s"
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)


def visit():
    for _ in range(5):
        connect(server).close()
        time.sleep(0.05)


client(visit)
conns = {}
while seconds() < 4:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            ep.register(c, select.EPOLLIN)
        elif not conns[fd].recv(10):
            ep.unregister(fd)
            if fixed:
                conns.pop(fd).close()
leave()
