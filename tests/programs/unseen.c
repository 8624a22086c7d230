// Does behind the shim's back what libc, io_uring and raw system calls do: then waits for the end of its input.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What no shim sees.
static long raw(long n, long a, long b, long c, long d) {
    long r;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return r;
}

static void add(int ep, int fd, unsigned mask, unsigned long data, int unseen) {
    struct epoll_event e = {.events = mask, .data.u64 = data};
    if (unseen)
        raw(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fd, (long)&e);
    else
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void pass(int through, int fd) {
    char byte = 'x', room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    sendmsg(through, &m, 0);
}

static void take(int through) {
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec io = {&byte, 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    recvmsg(through, &m, 0);
}

int main(void) {
    // 20: closed where no shim sees it. 21: a listener, bound and named by the kernel only.
    int ep = dup2(epoll_create1(EPOLL_CLOEXEC), 19), pair[2], way[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    dup2(pair[0], 20);
    add(ep, 20, EPOLLIN, 20, 0);
    int listener = dup2(socket(AF_INET, SOCK_STREAM, 0), 21);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bind(listener, (void *)&to, sizeof to);
    listen(listener, 5);
    add(ep, listener, EPOLLIN, 21, 0);
    // 22: registered as through io_uring. 23: registered, then taken out unseen.
    dup2(pair[1], 22);
    add(ep, 22, EPOLLIN | EPOLLET, 0x2222, 1);
    dup2(pair[1], 23);
    add(ep, 23, EPOLLIN, 23, 0);
    raw(SYS_epoll_ctl, ep, EPOLL_CTL_DEL, 23, 0);
    // 24: passed to a child, which does not say so; then closed here.
    socketpair(AF_UNIX, SOCK_STREAM, 0, way);
    int gone[2];
    pipe(gone);
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < 24; fd++)
            if (fd != way[1] && fd != gone[0])
                close(fd);
        take(way[1]);
        char byte;
        read(gone[0], &byte, 1);
        _exit(0);
    }
    int passed = dup2(socket(AF_INET, SOCK_STREAM, 0), 24);
    for (int fd = 3; fd < 19; fd++)
        if (fd != pair[1] && fd != way[0] && fd != gone[1] && fd != way[1])
            close(fd);
    connect(passed, (void *)&to, 0);
    add(ep, passed, EPOLLIN | EPOLLONESHOT, 24, 0);
    pass(way[0], passed);
    // Unread bytes nobody is told of a second time.
    write(22, "left behind", 11);
    raw(SYS_close, 20, 0, 0, 0);
    puts("ready");
    fflush(stdout);
    char line[8];
    // First line: what was passed on has been seen there. Then close it here.
    if (fgets(line, sizeof line, stdin))
        close(passed);
    while (fgets(line, sizeof line, stdin))
        ;
    close(gone[1]);
    waitpid(child, 0, 0);
    return 0;
}
