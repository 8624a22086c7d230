"""A server that marks no handlers and only says whom they work for: a bell's for whoever's answer is ready, sometimes for
nobody, sometimes for itself in the end. ROUNDS as its argument."""
import ctypes, selectors, socket, sys

shim = ctypes.PyDLL(None)
on_behalf_of = getattr(shim, "loopscope_on_behalf_of", lambda fd: None)
bell, rings = socket.socketpair()
pairs = [socket.socketpair() for _ in range(3)]
selector = selectors.DefaultSelector()
for end in [bell] + [server for server, _ in pairs]:
    selector.register(end, selectors.EVENT_READ)
on_behalf_of(bell.fileno())  # no handler runs
for turn in range(int(sys.argv[1])):
    rings.send(b"!")
    asks = pairs[turn % 3 :: 2]
    for _, client in asks:
        client.send(b"question")
    for key, _ in selector.select():
        key.fileobj.recv(64)
        if key.fileobj is not bell:
            key.fileobj.send(b"soon")
            continue
        for server, client in pairs[: turn % 4]:
            on_behalf_of(server.fileno())
            server.send(b"answer")
        if turn % 5 == 0:
            on_behalf_of(bell.fileno())
    for _, client in pairs:
        client.setblocking(False)
        try:
            client.recv(64)
        except BlockingIOError:
            pass
