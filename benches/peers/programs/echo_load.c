/* echo_load PORT CONNECTIONS SECONDS: each connection sends a message and waits for its echo, over and over.
 * Prints the requests answered, the seconds they took, and the median and the 99th percentile of their microseconds. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LENGTH = 21, MOST_CONNECTIONS = 1024, MOST_TIMES = 1 << 22 };

struct connection {
    int fd;
    double sent;
};

static struct connection connections[MOST_CONNECTIONS];
static float times[MOST_TIMES];
static const char message[LENGTH] = "how long until this?";

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static int connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connecting to the server");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void ask(struct connection *c) {
    c->sent = now();
    if (write(c->fd, message, LENGTH) != LENGTH) fail("sending");
}

int main(int count, char **args) {
    int open = count == 4 ? atoi(args[2]) : 0;
    if (open < 1 || open > MOST_CONNECTIONS) {
        fprintf(stderr, "usage: echo_load PORT CONNECTIONS SECONDS, at most %d connections\n", MOST_CONNECTIONS);
        return 2;
    }
    int ep = epoll_create1(0);
    for (int i = 0; i < open; i++) {
        struct epoll_event wish = {.events = EPOLLIN, .data.u32 = i};
        connections[i].fd = connect_to(atoi(args[1]));
        if (epoll_ctl(ep, EPOLL_CTL_ADD, connections[i].fd, &wish)) fail("epoll_ctl");
    }
    usleep(30000); /* all accepted */

    double began = now(), end = began + atof(args[3]), at = began;
    long answered = 0;
    for (int i = 0; i < open; i++) ask(&connections[i]);
    for (int waiting = open; waiting > 0;) {
        struct epoll_event events[64];
        int n = epoll_wait(ep, events, 64, 5000);
        if (n <= 0) fail("no answer for 5 s");
        at = now();
        for (int k = 0; k < n; k++) {
            struct connection *c = &connections[events[k].data.u32];
            char echo[LENGTH];
            if (recv(c->fd, echo, LENGTH, MSG_WAITALL) != LENGTH) fail("receiving");
            if (answered < MOST_TIMES) times[answered] = (at - c->sent) * 1e6;
            answered++;
            if (at < end) ask(c);
            else waiting--;
        }
    }
    long kept = answered < MOST_TIMES ? answered : MOST_TIMES;
    qsort(times, kept, sizeof *times, ascending);
    printf("%ld %.6f %.1f %.1f\n", answered, at - began, times[kept / 2], times[kept * 99 / 100]);
    return 0;
}
