# code: registration-churn
# bug: lalinsky/zio#510, haproxy/haproxy#253; the mask is set anew around every event
from lab import *

ep = select.epoll()
a, b = socket.socketpair()
a.setblocking(False)
ep.register(a, select.EPOLLIN)
for _ in range(1200):
    b.send(b"x")
    for fd, _ in ep.poll(0.5):
        if not fixed:
            ep.modify(a, select.EPOLLIN)
            ep.modify(a, select.EPOLLIN)
            ep.modify(a, select.EPOLLIN)
        a.recv(10)
leave()
