# code: idle-wakeups
# severity: info
# bug: wez/wezterm#770; a wait that ends every 5 ms with nothing to do
from lab import *

ep = select.epoll()
r, w = os.pipe2(os.O_NONBLOCK)
ep.register(r, select.EPOLLIN)
while seconds() < 14:
    ep.poll(1 if fixed else 0.005)
leave()
