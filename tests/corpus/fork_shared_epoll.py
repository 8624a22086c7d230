# code: fork-shared-epoll
# bug: eventlet/eventlet#68, libuv/libuv#3483; a forked child tidies up its parent's interest list
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
ep.register(r, select.EPOLLIN)
ep.poll(0.1)
if os.fork() == 0:
    if not fixed:
        ep.unregister(r)
    ep.close()
    os._exit(0)
while seconds() < 1.5:
    if ep.poll(0.1):
        os.read(r, 10)
    else:
        os.write(w, b"x")
leave()
