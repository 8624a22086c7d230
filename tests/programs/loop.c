/* One loop, every call once or twice, on paper what a recording of it must hold: see tests/preload_events.rs. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void) {
    int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_NONBLOCK), pair[2];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77}, ready[8];
    uint64_t n = 1;

    assert(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    assert(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == -1 && errno == EEXIST);
    event.events = EPOLLIN | EPOLLET;
    assert(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0);
    assert(epoll_wait(ep, ready, 8, 1) == 0);
    assert(write(fd, &n, 8) == 8);
    assert(epoll_pwait(ep, ready, 8, -1, 0) == 1 && ready[0].data.u64 == 77);
    assert(read(fd, &n, 8) == 8);
    errno = 0;
    assert(read(fd, &n, 8) == -1 && errno == EAGAIN);
    assert(eventfd_write(fd, 5) == 0 && eventfd_write(fd, 6) == 0);
    assert(eventfd_write(fd, UINT64_MAX) == -1 && errno == EINVAL);
    assert(eventfd_read(fd, &n) == 0 && n == 11);
    assert(eventfd_read(fd, &n) == -1 && errno == EAGAIN && n == 11);
    assert(epoll_wait(ep, ready, 0, 0) == -1 && errno == EINVAL);
    assert(epoll_ctl(ep, EPOLL_CTL_DEL, fd, 0) == 0);

    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    assert(send(pair[0], "four", 4, 0) == 4);
    struct pollfd list[2] = {{pair[0], POLLIN, 0}, {pair[1], POLLIN, 0}};
    assert(poll(list, 2, 1000) == 1);
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[1], &in);
    FD_SET(pair[1], &out);
    assert(select(pair[1] + 1, &in, &out, 0, 0) == 2);
    char buffer[16];
    assert(recv(pair[1], buffer, 16, MSG_PEEK) == 4);
    assert(recv(pair[1], buffer, 16, 0) == 4);

    int ends[2];
    assert(send(pair[0], "more", 4, 0) == 4 && pipe(ends) == 0);
    assert(splice(pair[1], 0, ends[1], 0, 4, 0) == 4);
    close(ends[0]);
    close(ends[1]);

    int copy = dup(pair[1]);
    assert(dup2(pair[0], copy) == copy);
    assert(close(copy) == 0 && close(copy) == -1 && errno == EBADF);
    close(pair[0]);
    close(pair[1]);
    close(fd);
    close(ep);
    return 0;
}
