# code: computing-handler
# bug: python/cpython#101946; one request in ten computes for 80 ms
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)


def ask():
    s = connect(server)
    while True:
        s.sendall(b"?")
        s.recv(1)
        time.sleep(0.03)


client(ask)
conns, n = {}, 0
while seconds() < 4:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            ep.register(c, select.EPOLLIN)
        elif conns[fd].recv(10):
            n += 1
            if n % 10 == 0 and not fixed:
                compute(0.08)
            conns[fd].send(b"!")
leave()
