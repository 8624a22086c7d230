// code: data-names-other-fd
// bug: homework servers: one struct epoll_event for two registrations, its data set once
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int ep = epoll_create1(EPOLL_CLOEXEC), a[2], b[2];
    if (pipe2(a, O_NONBLOCK) || pipe2(b, O_NONBLOCK)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = a[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &e);
    if (fixed) e.data.fd = b[0];
    epoll_ctl(ep, EPOLL_CTL_ADD, b[0], &e);
    if (write(b[1], "x", 1) != 1) return 1;
    time_t end = time(0) + 2;
    while (time(0) < end) {
        char c;
        if (epoll_wait(ep, &e, 1, 200) == 1 && read(e.data.fd, &c, 1) < 0) continue;
    }
    return 0;
}
