# Loops inside the handlers of loops: an epoll that watches another, whose events are served there, and a poll(2) in the middle
# of a handler, as a database driver makes it. Usage: inside.py TURNS
import select
import socket
import sys


def pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    return a, b


def work(steps):
    return sum(range(steps * 200))


def serve(socket):
    try:
        while socket.recv(64):
            pass
    except BlockingIOError:
        pass


def ask(socket):
    question = select.poll()
    question.register(socket, select.POLLIN | select.POLLOUT)
    work(1)
    return question.poll(100)


outer, inner = select.epoll(), select.epoll()
near, far = [pair() for _ in range(3)], [pair() for _ in range(3)]
for a, _ in near:
    outer.register(a, select.EPOLLIN)
outer.register(inner.fileno(), select.EPOLLIN)
for a, _ in far:
    inner.register(a, select.EPOLLIN)
by_number = {a.fileno(): a for a, _ in near + far}
for turn in range(int(sys.argv[1])):
    for at, (_, b) in enumerate(near + far):
        if (turn + at) % 4:
            b.send(b"words")
    for number, _ in outer.poll(1, 2 + turn % 4):
        if number == inner.fileno():
            work(1)
            for nested, _ in inner.poll(0, 2):
                serve(by_number[nested])
                work(2)
                if turn % 3 == 0:
                    ask(by_number[nested])
            work(1)
        else:
            serve(by_number[number])
            ask(near[turn % 3][0])
            work(2)
            serve(near[(turn + 1) % 3][0])
