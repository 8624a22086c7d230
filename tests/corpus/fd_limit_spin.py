# code: fd-limit-spin
# bug: joyent/libuv#690, oven-sh/bun#32705; no descriptor is left and the listener stays armed
import resource

from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)
peers = [socket.socket() for _ in range(20)]
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
for s in peers:
    s.setblocking(False)
    s.connect_ex(server.getsockname())
conns, armed = [], True
while seconds() < 2:
    for fd, _ in ep.poll(0.5):
        try:
            conns.append(taken(server))
        except OSError:
            if fixed:
                ep.unregister(server)
leave()
