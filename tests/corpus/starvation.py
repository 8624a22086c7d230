# code: starvation
# bug: epoll(7), starvation; ninety handlers of 2 ms before the last one's turn
from lab import *

server, ep = listener(), select.epoll()
crowd = [connect(server) for _ in range(90)]
conns = {}
for _ in crowd:
    c = taken(server)
    conns[c.fileno()] = c
    ep.register(c, select.EPOLLIN)


def shout():
    time.sleep(1.2)
    while True:
        for s in crowd:
            s.sendall(b"?")
        time.sleep(0.6)


client(shout)
while seconds() < 4:
    for fd, _ in ep.poll(0.5, 128):
        conns[fd].recv(10)
        until = seconds() + (0 if fixed else 0.002)
        while seconds() < until:
            pass
        conns[fd].send(b"!")
leave()
