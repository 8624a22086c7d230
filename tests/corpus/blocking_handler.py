# code: blocking-handler
# bug: DataDog/dd-trace-js#492; a handler that sleeps, here for an answer that a timer could bring
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)


def ask():
    s = connect(server)
    while True:
        s.sendall(b"?")
        s.recv(1)
        time.sleep(0.3)


for _ in range(3):
    client(ask)
conns, due = {}, []
while seconds() < 3:
    for fd, _ in ep.poll(0.02 if due else 0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            ep.register(c, select.EPOLLIN)
        elif conns[fd].recv(10):
            if fixed:
                due.append((seconds() + 0.06, fd))
            else:
                time.sleep(0.06)
                conns[fd].send(b"!")
    for when, fd in [d for d in due if d[0] <= seconds()]:
        conns[fd].send(b"!")
        due.remove((when, fd))
leave()
