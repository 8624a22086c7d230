# code: eof-ignored
# bug: homework servers; 0 is taken for "nothing yet"
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLIN)
peer.close()
open_ = True
while seconds() < 2:
    for fd, _ in ep.poll(0.5):
        if not c.recv(100) and fixed:
            ep.unregister(c)
            c.close()
leave()
