/* What is handed to the kernel lies neither on the stack nor among the program's variables. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

int main(void) {
    struct {
        struct epoll_event event, ready[4];
        struct timespec soon;
        struct timeval at_once;
        struct itimerspec spec;
    } *there = malloc(sizeof *there);
    there->event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.u64 = 77};
    there->soon = (struct timespec){0, 5000000};
    there->at_once = (struct timeval){0, 0};
    there->spec = (struct itimerspec){{1, 0}, {100, 0}};
    int ep = epoll_create1(0), fd = eventfd(1, EFD_NONBLOCK), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &there->event);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &there->event);
    epoll_ctl(ep, EPOLL_CTL_ADD, -1, &there->event);
    epoll_pwait2(ep, there->ready, 4, &there->soon, 0);
    epoll_pwait2(ep, there->ready, 4, &there->soon, 0);
    struct timespec here = {0, 7000000};
    epoll_pwait2(ep, there->ready, 4, &here, 0);
    epoll_pwait2(-1, there->ready, 4, 0, 0);
    fd_set set;
    FD_ZERO(&set);
    select(0, &set, 0, 0, &there->at_once);
    timerfd_settime(timer, 0, &there->spec, 0);
    /* What was set until then is written over it. */
    timerfd_settime(timer, 0, &there->spec, &there->spec);
    close(fd);
    /* By number. */
    struct timespec none = {0, 0};
    syscall(SYS_select, 0, &set, 0, 0, &there->at_once);
    syscall(SYS_pselect6, 0, &set, 0, 0, &none, 0);
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    char text[4];
    struct iovec piece = {text, 4};
    struct mmsghdr two[2] = {{{.msg_iov = &piece, .msg_iovlen = 1}}, {{.msg_iov = &piece, .msg_iovlen = 1}}};
    syscall(SYS_sendmmsg, pair[0], two, 2, 0);
    syscall(SYS_recvmmsg, pair[1], two, 2, 0, 0);
    return 0;
}
