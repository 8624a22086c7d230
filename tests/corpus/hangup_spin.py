# code: hangup-spin
# bug: OpenPrinting/cups#4605, xrootd/xrootd#303; a hang-up comes though nothing is asked for
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
ep.register(r, 0)
os.close(w)
while seconds() < 2:
    for fd, mask in ep.poll(0.5):
        if mask & select.EPOLLIN:
            os.read(fd, 1)
        elif fixed:
            ep.unregister(fd)
            os.close(fd)
leave()
