# code: batch-full
# severity: info
# bug: flux-framework/flux-core#67, ofiwg/libfabric#3221; room for one event a wait
from lab import *

ep = select.epoll()
pairs = [socket.socketpair() for _ in range(8)]
for a, b in pairs:
    a.setblocking(False)
    ep.register(a, select.EPOLLIN)
mine = {a.fileno(): a for a, b in pairs}


def speak():
    while True:
        for a, b in pairs:
            b.sendall(b"x")
        time.sleep(0.004)


client(speak)
while seconds() < 4.5:
    for fd, _ in ep.poll(0.5, 64 if fixed else 1):
        mine[fd].recv(10)
leave()
