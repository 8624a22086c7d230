# code: fd-left-blocking
# bug: epoll(7); a connection that blocks is read again for the rest of a message
from lab import *

server, ep = listener(), select.epoll()
ep.register(server, select.EPOLLIN)


def speak():
    s = connect(server)
    while True:
        s.sendall(b"half")
        time.sleep(0.03)
        s.sendall(b"rest")
        time.sleep(0.2)


client(speak)
conns = {}
while seconds() < 3:
    for fd, _ in ep.poll(0.5):
        if fd == server.fileno():
            fd, _ = server._accept()
            c = conns[fd] = socket.socket(fileno=fd)
            c.setblocking(not fixed)
            ep.register(c, select.EPOLLIN)
            continue
        conns[fd].recv(4)
        if not fixed:
            conns[fd].recv(4)
leave()
