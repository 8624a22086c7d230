"""A Python program that marks its own handlers: the calls of docs/loopscope.h through ctypes.

    loopscope record -o marks.lscope -- python3 examples/marks.py
    loopscope replay marks.lscope

Four connections send ten messages each through one selector. Without loopscope the program does the same; `scope` then
is a stand-in that does nothing.
"""

import ctypes
import selectors
import socket


class Scope:
    """The calls, where the preload shim is loaded."""

    def __init__(self):
        # PyDLL keeps the interpreter's lock: the calls take nanoseconds and never block.
        shim = ctypes.PyDLL(None)
        self.begin, self.end = shim.loopscope_handler_begin, shim.loopscope_handler_end
        self.mark_long, self.name_fd = shim.loopscope_mark_long, shim.loopscope_name_fd
        self.begin.argtypes = self.name_fd.argtypes = [ctypes.c_int, ctypes.c_char_p]
        self.mark_long.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long]
        for call in self.begin, self.end, self.mark_long, self.name_fd:
            call.restype = None


class NoScope:
    """The same where it is not."""

    begin = end = mark_long = name_fd = staticmethod(lambda *arguments: None)


try:
    scope = Scope()
except AttributeError:
    scope = NoScope()


def echo(connection):
    """Sends back what came; at the end of it closes the connection."""
    data = connection.recv(4096)
    if data:
        connection.sendall(data)
    return bool(data)


selector = selectors.DefaultSelector()
clients = []
for i in range(4):
    client, server = socket.socketpair()
    scope.name_fd(server.fileno(), b"client %d" % i)
    selector.register(server, selectors.EVENT_READ, echo)
    clients.append(client)

messages = 0
for turn in range(11):
    for client in clients:
        if turn < 10:
            client.sendall(b"hello %d" % turn)
        else:
            client.shutdown(socket.SHUT_WR)
    for key, _ in selector.select():
        scope.begin(key.fd, key.data.__name__.encode())
        if key.data(key.fileobj):
            messages += 1
        else:
            scope.mark_long(b"connection ends", b"fd", key.fd)
            selector.unregister(key.fileobj)
            key.fileobj.close()
        scope.end()
print(messages, "messages")
