"""An epoll loop that answers one client; at some requests its handler sleeps. stalls.py END ROUND,ROUND…

END is the exit code, or `stdin`: print the pid and wait for the end of stdin first.
"""
import os
import select
import socket
import sys
import time

end, stalls = sys.argv[1], {int(n) for n in sys.argv[2].split(",")}
server, client = socket.socketpair()
epoll = select.epoll()
epoll.register(server, select.EPOLLIN)
for round in range(80):
    client.send(b"ask")
    epoll.poll()
    server.recv(100)
    if round in stalls:
        time.sleep(0.4)
    server.send(b"answer")
    client.recv(100)
    time.sleep(0.01)
if end == "stdin":
    print(os.getpid(), flush=True)
    sys.stdin.read()
    client.send(b"more")
    epoll.poll()
    server.recv(100)
    end = "0"
sys.exit(int(end))
