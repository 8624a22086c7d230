# code: et-not-drained
# bug: sysprog21/kecho#1, questdb/questdb#6544; one read for each edge
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLIN | select.EPOLLET)


def speak():
    while True:
        peer.sendall(b"x" * 4000)
        time.sleep(1.5)


client(speak)
while seconds() < 6:
    for fd, _ in ep.poll(0.3):
        while True:
            try:
                c.recv(512)
            except BlockingIOError:
                break
            if not fixed:
                break
leave()
