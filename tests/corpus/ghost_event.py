# code: ghost-event
# bug: joyent/libuv#1099, manticoresoftware/manticoresearch#4057; a copy keeps a closed descriptor reporting
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
copy = os.dup(r)
ep.register(r, select.EPOLLIN)
os.write(w, b"x")
if fixed:
    ep.unregister(r)
os.close(r)
for _ in range(60):
    ep.poll(0.01)
leave()
