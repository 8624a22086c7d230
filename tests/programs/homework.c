/* An echo server as students write it: right, or with one mistake. See tests/run_homework.rs.

   homework right | not-drained | eof-ignored | short-write | not-registered | no-in | wrong-data | blocking

   It serves one client, which it forks itself: that sends, waits for its echo, and leaves. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RIGHT, NOT_DRAINED, EOF_IGNORED, SHORT_WRITE, NOT_REGISTERED, NO_IN, WRONG_DATA, BLOCKING };
static const char *const names[] = {"right",          "not-drained", "eof-ignored", "short-write",
                                    "not-registered", "no-in",       "wrong-data",  "blocking"};
static int bug, listener;

static void add(int ep, int fd, unsigned events) {
    struct epoll_event e = {events, {.fd = bug == WRONG_DATA && fd != listener ? 0 : fd}};
    if (bug != NOT_REGISTERED || fd == listener)
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static void client(int port) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    struct sockaddr_in to = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    connect(fd, (void *)&to, sizeof to);
    if (bug == NO_IN)
        usleep(300000); /* or the first event, that there is room, would serve the bytes as well */
    static char much[1 << 22];
    size_t size = bug == SHORT_WRITE ? sizeof much : 100;
    if (bug == BLOCKING)
        size = 64; /* the server's read for more waits for ever */
    memset(much, 'x', sizeof much);
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, much + sent, size - sent, MSG_DONTWAIT);
        if (n > 0)
            sent += n;
        else
            usleep(1000), recv(fd, much, 1, MSG_DONTWAIT | MSG_PEEK);
        if (bug == SHORT_WRITE && sent > (1 << 21))
            break;
    }
    if (bug == EOF_IGNORED)
        exit(0);
    for (;;)
        if (bug == RIGHT || bug == NOT_DRAINED)
            recv(fd, much, sizeof much, 0);
        else
            pause();
}

static void serve(int fd) {
    static char buffer[1 << 16];
    size_t most = bug == NOT_DRAINED ? 10 : sizeof buffer;
    for (;;) {
        ssize_t n = read(fd, buffer, most); /* THE READ */
        if (n < 0)
            return; /* EAGAIN: for now that is all */
        if (n == 0) {
            if (bug != EOF_IGNORED)
                close(fd);
            return;
        }
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(fd, buffer + done, n - done);
            if (w < 0 || bug == SHORT_WRITE)
                break; /* the rest is dropped */
            done += w;
        }
        if (bug == NOT_DRAINED || bug == EOF_IGNORED)
            return;
    }
}

int main(int argc, char **argv) {
    for (int i = 0; argc > 1 && i < 8; i++)
        if (strcmp(argv[1], names[i]) == 0)
            bug = i;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {0}};
    socklen_t size = sizeof at;
    bind(listener, (void *)&at, size);
    listen(listener, 8);
    getsockname(listener, (void *)&at, &size);
    if (fork() == 0)
        client(ntohs(at.sin_port));
    int ep = epoll_create1(0);
    add(ep, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[16];
        int n = epoll_wait(ep, events, 16, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            int fd = accept4(listener, 0, 0, bug == BLOCKING ? 0 : SOCK_NONBLOCK);
            add(ep, fd, bug == NO_IN ? EPOLLOUT | EPOLLET : bug == EOF_IGNORED ? EPOLLIN : EPOLLIN | EPOLLET);
        }
    }
}
