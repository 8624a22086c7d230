# code: greedy-handler
# bug: twemproxy#257 and Netflix/dynomite#257; one sender's bytes are read for as long as there are any
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)
fast, slow = connect(server), connect(server)
conns = {}
for _ in range(2):
    c = taken(server)
    conns[c.fileno()] = c
    ep.register(c, select.EPOLLIN)


def flood():
    data = b"x" * 100_000
    while True:
        fast.sendall(data)
        slow.sendall(b"?")
        time.sleep(0.06)


client(flood)
while seconds() < 3:
    for fd, _ in ep.poll(0.5):
        if fd not in conns:
            continue
        for _ in range(4 if fixed else 1_000_000):
            try:
                if not conns[fd].recv(1024):
                    break
            except BlockingIOError:
                break
            until = seconds() + 0.0001
            while seconds() < until:
                pass
leave()
