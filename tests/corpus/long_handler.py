# code: long-handler
# bug: elastic/elasticsearch#113433; each answer computes, asks a helper and computes again, so no part of it takes half of the time
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)
lock = threading.Lock()


def ask():
    s = connect(server)
    while True:
        s.sendall(b"?")
        s.recv(1)
        time.sleep(0.2)


client(ask)
conns = {}
while seconds() < 4:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            c = taken(server)
            conns[c.fileno()] = c
            ep.register(c, select.EPOLLIN)
        elif conns[fd].recv(10):
            if not fixed:
                for _ in range(5):
                    compute(0.008)
                    with lock:
                        time.sleep(0.009)
            conns[fd].send(b"!")
leave()
