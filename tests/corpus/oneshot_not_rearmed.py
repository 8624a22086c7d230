# code: oneshot-not-rearmed
# bug: epoll_ctl(2), R17 of the house; one path through the handler forgets to arm it again
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLIN | select.EPOLLONESHOT)


def speak():
    while True:
        peer.sendall(b"x" * 10)
        time.sleep(1)


client(speak)
while seconds() < 9:
    for fd, _ in ep.poll(0.5):
        c.recv(100)
        if fixed:
            ep.modify(c, select.EPOLLIN | select.EPOLLONESHOT)
leave()
