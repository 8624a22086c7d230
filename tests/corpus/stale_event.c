// code: stale-event
// bug: joyent/libuv PR #968, baresip/re#266: a handler closes another one of the batch, and its number is used again at once
#include "loopscope.h"
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
    int fd, closed;
};

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, ep = epoll_create1(EPOLL_CLOEXEC);
    for (int round = 0; round < 20; round++) {
        int a[2], b[2], c[2] = {-1, -1};
        char byte = 0;
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a);
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b);
        struct end first = {a[0], 0}, second = {b[0], 0};
        struct epoll_event e[2] = {{EPOLLIN, {&first}}, {EPOLLIN, {&second}}};
        epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &e[0]);
        epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &e[1]);
        struct epoll_event nothing;
        epoll_wait(ep, &nothing, 1, 50);
        if (write(a[1], &byte, 1) != 1 || write(b[1], &byte, 1) != 1) return 1;
        int n = epoll_wait(ep, e, 2, 1000);
        for (int i = 0; i < n; i++) {
            struct end *end = e[i].data.ptr;
            if (fixed && end->closed) continue;
            loopscope_handler_begin(end->fd, "answer");
            if (read(end->fd, &byte, 1) < 0) byte = 1;
            if (i == 0) { /* the other one is to go */
                close(second.fd);
                second.closed = 1;
                socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, c);
            }
            loopscope_handler_end();
        }
        close(a[0]), close(a[1]), close(b[1]), close(c[0]), close(c[1]);
    }
    return 0;
}
