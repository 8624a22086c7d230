# code: starvation
# bug: epoll(7), starvation; ninety handlers of 2 ms before the last one's turn
from lab import *


def shout(them):
    time.sleep(1.2)
    while True:
        for s in them:
            s.sendall(b"?")
        time.sleep(0.6)


conns, ep = crowd(listener(), 90, shout), select.epoll()
for fd in conns:
    ep.register(fd, select.EPOLLIN)
while seconds() < 4:
    for fd, _ in ep.poll(0.5, 128):
        if conns[fd].recv(10):
            compute(0 if fixed else 0.002)
            conns[fd].send(b"!")
leave()
