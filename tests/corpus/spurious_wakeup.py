# code: spurious-wakeup
# bug: mio's documentation, spurious events; one description on two numbers, and the first handler takes all
from lab import *

ep = select.epoll()
a, b = socket.socketpair()
a.setblocking(False)
twin = a.dup()
ep.register(a, select.EPOLLIN)
if not fixed:
    ep.register(twin, select.EPOLLIN)


def speak():
    time.sleep(0.5)
    for _ in range(300):
        b.sendall(b"x")
        time.sleep(0.005)


client(speak)
both = {a.fileno(): a, twin.fileno(): twin}
while seconds() < 3.5:
    for fd, _ in ep.poll(0.5):
        try:
            both[fd].recv(100)
        except BlockingIOError:
            pass
leave()
