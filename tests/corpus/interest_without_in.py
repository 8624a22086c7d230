# code: interest-without-in
# bug: homework servers; EPOLLET alone
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLET | (select.EPOLLIN if fixed else 0))
peer.sendall(b"hello")
while seconds() < 6:
    for fd, _ in ep.poll(0.5):
        try:
            while c.recv(100):
                pass
        except BlockingIOError:
            pass
leave()
