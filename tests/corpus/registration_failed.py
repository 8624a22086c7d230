# code: registration-failed
# bug: twisted/twisted#11625, libevent/libevent#503; the number was closed and opened anew, its registration went with it
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
ep.register(r, select.EPOLLIN)
ep.poll(0.1)
os.close(r)
os.close(w)
r, w = os.pipe2(os.O_NONBLOCK)
try:
    ep.register(r, select.EPOLLIN) if fixed else ep.modify(r, select.EPOLLIN)
except OSError:
    pass
os.write(w, b"x")
while seconds() < 1:
    if ep.poll(0.2):
        os.read(r, 10)
leave()
