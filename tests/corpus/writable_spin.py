# code: writable-spin
# bug: OpenAtomFoundation/pikiwidb#251, libuv/libuv#3671; OUT is asked for all the time
from lab import *

server, ep = listener(), select.epoll()
peer = connect(server)
c = taken(server)
ep.register(c, select.EPOLLIN | (0 if fixed else select.EPOLLOUT))
while seconds() < 2:
    ep.poll(0.5)
leave()
