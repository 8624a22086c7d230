# code: long-iteration
# bug: elastic/elasticsearch#113433; twenty handlers of 8 ms make a turn of 160 ms
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)
crowd = [connect(server) for _ in range(20)]
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
        time.sleep(0.5)


client(shout)
while seconds() < 5:
    for fd, _ in ep.poll(0.5, 2 if fixed else 64):
        if fd in conns:
            conns[fd].recv(10)
            until = seconds() + 0.008
            while seconds() < until:
                pass
            conns[fd].send(b"!")
leave()
