# code: late-timer
# bug: golang/go#44343 and libuv/libuv#4343; a timer every 50 ms, and twenty handlers of 4 ms between it and its turn
from lab import *


def shout(them):
    time.sleep(1.2)
    while True:
        for s in them:
            s.sendall(b"?")
        time.sleep(0.33)


conns, ep = crowd(listener(), 20, shout), select.epoll()
for fd in conns:
    ep.register(fd, select.EPOLLIN)
due = seconds() + 0.05
while seconds() < 5:
    for fd, _ in ep.poll(max(0, due - seconds()), 1 if fixed else 64):
        if conns[fd].recv(10):
            compute(0.004)
            conns[fd].send(b"!")
    while due <= seconds():
        due += 0.05
leave()
