# code: long-iteration
# bug: elastic/elasticsearch#113433; twenty handlers of 8 ms make a turn of 160 ms
from lab import *


def shout(them):
    time.sleep(1.2)
    while True:
        for s in them:
            s.sendall(b"?")
        time.sleep(0.5)


conns, ep = crowd(listener(), 20, shout), select.epoll()
for fd in conns:
    ep.register(fd, select.EPOLLIN)
while seconds() < 5:
    for fd, _ in ep.poll(0.5, 2 if fixed else 64):
        if conns[fd].recv(10):
            compute(0.008)
            conns[fd].send(b"!")
leave()
