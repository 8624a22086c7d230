/* One of every kind of call, and what each answered, as one number. errno stays where it was when a call succeeds. */
#ifndef CALLS_H
#define CALLS_H
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Answers as digits of one sum: any difference shows. */
#define CALL(x) do { errno = 0xdead; long _v = (long)(x); sum = sum * 31 + _v * 7 + errno % 1000; } while (0)

/* A sanitizer takes exception to what the kernel only refuses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(TAME)
#define WILD(x)
#else
#define WILD(x) CALL(x)
#endif

__attribute__((unused)) static int every_call(void) {
    unsigned sum = 0;
    int pair[2], pipes[2];
    char text[16] = "text";
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 5}, ready[4];
    uint64_t one = 1;
    struct timespec none = {0, 1};
    int ep = epoll_create1(EPOLL_CLOEXEC), fd = eventfd(0, EFD_NONBLOCK);
    CALL(ep >= 0 && fd >= 0);
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CALL(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
    CALL(epoll_ctl(ep, EPOLL_CTL_DEL, 9999, (void *)1));
    CALL(epoll_wait(ep, ready, 4, 0));
    CALL(write(fd, &one, 8));
    CALL(epoll_wait(ep, ready, 4, 0));
    CALL(epoll_pwait(ep, ready, 4, 0, 0));
    CALL(epoll_pwait2(ep, ready, 4, &none, 0));
    CALL(read(fd, &one, 8));
    CALL(read(fd, &one, 8));
    WILD(read(fd, (void *)8, 8));
    CALL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    CALL(pipe2(pipes, O_NONBLOCK));
    CALL(send(pair[0], text, 4, 0));
    CALL(recv(pair[1], text, 16, MSG_PEEK));
    CALL(recvfrom(pair[1], text, 16, 0, 0, 0));
    CALL(recv(pair[1], text, 16, 0));
    struct iovec two[2] = {{text, 2}, {text + 2, 2}};
    CALL(writev(pipes[1], two, 2));
    CALL(readv(pipes[0], two, 2));
    WILD(readv(pipes[0], two, -1));
    WILD(writev(pipes[1], (void *)8, 2));
    struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
    CALL(sendmsg(pair[0], &message, 0));
    CALL(recvmsg(pair[1], &message, 0));
    WILD(recvmsg(pair[1], (void *)8, 0));
    WILD(sendmsg(pair[1], (void *)8, 0));
    CALL(accept(pair[0], 0, 0));
    WILD(connect(pair[0], (void *)8, 16));
    WILD(bind(pair[0], (void *)8, 16));
    struct pollfd polled[2] = {{pair[1], POLLOUT, 0}, {pipes[0], POLLIN, 0}};
    CALL(poll(polled, 2, 0));
    WILD(poll((void *)8, 2, 0));
    CALL(ppoll(polled, 2, &none, 0));
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[1], &in);
    FD_SET(pair[1], &out);
    struct timeval no_time = {0, 1};
    CALL(select(pair[1] + 1, &in, &out, 0, &no_time));
    CALL(pselect(pair[1] + 1, &in, &out, 0, &none, 0));
    WILD(select(4, (void *)8, 0, 0, &no_time));
    CALL(syscall(SYS_write, pipes[1], "x", 1));
    CALL(syscall(SYS_read, pipes[0], text, 1));
    CALL(syscall(SYS_close, 9999));
    CALL(syscall(SYS_dup2, pipes[0], pipes[0]) == pipes[0]);
    CALL(syscall(99999));
    int copy = dup(pipes[0]);
    CALL(dup2(pipes[1], copy) == copy);
    CALL(dup3(copy, copy, 0));
    CALL(fcntl(copy, F_SETFD, FD_CLOEXEC));
    CALL(fcntl(copy, F_GETFD));
    int higher = fcntl(copy, F_DUPFD_CLOEXEC, 100);
    CALL(higher);
    CALL(close(higher));
    CALL(close(copy));
    /* Not the same again: by now it may be another thread's. */
    CALL(close(9998));
    CALL(close(-1));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec soon = {{0, 0}, {100, 0}};
    CALL(timerfd_settime(timer, 0, &soon, 0));
    WILD(timerfd_settime(timer, 0, (void *)8, 0));
    CALL(read(timer, &one, 8));
    CALL(nanosleep(&none, 0));
    CALL(usleep(1));
    CALL(open("/nowhere/x", O_RDONLY));
    WILD(open((void *)8, O_RDONLY));
    int file = open("/dev/zero", O_RDWR | O_CLOEXEC);
    CALL(pread(file, text, 4, 0));
    CALL(pwrite(file, text, 4, 0));
    CALL(fsync(file));
    CALL(sendfile(pipes[1], file, 0, 4));
    CALL(close(file));
    DIR *dir = opendir("/nowhere");
    CALL(dir == 0);
    dir = opendir("/");
    CALL(closedir(dir));
    FILE *stream = fopen("/dev/null", "re");
    CALL(fclose(stream));
    CALL(fopen("/nowhere", "r"));
    char memory[8];
    stream = fmemopen(memory, 8, "w");
    CALL(fclose(stream));
    CALL(close(timer));
    CALL(shutdown(pair[0], SHUT_WR));
    CALL(recv(pair[1], text, 16, 0));
    CALL(close(pair[0]) + close(pair[1]) + close(pipes[0]) + close(pipes[1]) + close(ep) + close(fd));
    return sum % 1000000;
}
#endif
