"""serve.py TURNS: a line server that knows nothing of loopscope, and its clients in threads of the same program."""
import select, socket, sys, threading

listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
epoll, served, left = select.epoll(), {}, 6
epoll.register(listener, select.EPOLLIN)


def client(turns):
    with socket.create_connection(listener.getsockname()) as s, s.makefile("rw") as lines:
        for turn in range(turns):
            lines.write("a line\n" * (1 + turn % 3))
            lines.flush()
            for _ in range(1 + turn % 3):
                lines.readline()


for number in range(left):
    threading.Thread(target=client, args=(int(sys.argv[1]) + number,)).start()
while left:
    for fd, mask in epoll.poll(maxevents=3):
        if fd == listener.fileno():
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            served[accepted.fileno()] = accepted
            epoll.register(accepted, select.EPOLLIN)
        elif data := served[fd].recv(4096):
            served[fd].send(data)
        else:
            epoll.unregister(fd)
            served.pop(fd).close()
            left -= 1
