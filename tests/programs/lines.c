/* Calls from lines that tests/symbols.rs knows by the words behind them. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static inline __attribute__((always_inline)) void wake(int fd) {
    unsigned long n = 1;
    if (write(fd, &n, 8) != 8) _exit(1); /* the write */
}

__attribute__((noinline)) void serve(int fd) {
    unsigned long n;
    if (read(fd, &n, 8) != 8) _exit(2); /* the read */
    wake(fd); /* where it is inlined */
}

int main(void) {
    int ep = epoll_create1(0), fd = eventfd(1, 0), i;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd}, ready;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event); /* the add */
    for (i = 0; i < 50; i++) {
        epoll_wait(ep, &ready, 1, -1); /* the wait */
        serve(ready.data.fd);
    }
    return 0;
}
