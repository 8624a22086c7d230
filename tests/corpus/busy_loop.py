# code: busy-loop
# bug: beanstalkd/beanstalkd#53; what is reported is never read
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
ep.register(r, select.EPOLLIN)
os.write(w, b"x")
while seconds() < 4:
    for fd, _ in ep.poll(0.5):
        if fixed:
            os.read(fd, 1)
    sum(range(1000))
leave()
