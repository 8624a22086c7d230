// code: periodic-timerfd-unread
// bug: timerfd_create(2), R43 of the house: edge-triggered and never read, it fires once
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int ep = epoll_create1(EPOLL_CLOEXEC), t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec every = {{0, 100000000}, {0, 100000000}};
    timerfd_settime(t, 0, &every, 0);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.fd = t};
    epoll_ctl(ep, EPOLL_CTL_ADD, t, &e);
    time_t end = time(0) + 3;
    while (time(0) < end) {
        uint64_t n;
        if (epoll_wait(ep, &e, 1, 200) == 1 && fixed && read(t, &n, 8) < 0) continue;
    }
    return 0;
}
