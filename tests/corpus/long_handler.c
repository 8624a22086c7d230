// code: long-handler
// bug: elastic/elasticsearch#113433: each answer computes, sleeps a little and waits for a thread, so no part of it takes half of the time
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static pthread_barrier_t asked, answered;

static void compute(long ns) {
    struct timespec from, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < ns);
}

static void nap(long ns) {
    struct timespec t = {.tv_nsec = ns};
    nanosleep(&t, 0);
}

static void *help(void *unused) {
    for (;;) {
        pthread_barrier_wait(&asked);
        nap(6000000);
        pthread_barrier_wait(&answered);
    }
    return unused;
}

int main(int argc, char **argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0, ends[2], ep = epoll_create1(EPOLL_CLOEXEC);
    pthread_t helper;
    pthread_barrier_init(&asked, 0, 2);
    pthread_barrier_init(&answered, 0, 2);
    if (pthread_create(&helper, 0, help, 0)) return 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = ends[0]};
    epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &e);
    for (int turn = 0; turn < 12; turn++) {
        char byte = 0;
        epoll_wait(ep, &e, 1, 200);
        if (write(ends[1], &byte, 1) != 1 || epoll_wait(ep, &e, 1, 1000) != 1) return 1;
        if (read(ends[0], &byte, 1) != 1) return 1;
        /* Of each 24 ms; on a crowded machine napping and asking become longer alike. */
        for (int piece = 0; piece < 3 && !fixed; piece++) {
            compute(10000000);
            nap(6000000);
            pthread_barrier_wait(&asked);
            pthread_barrier_wait(&answered);
        }
        if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1) return 1;
    }
    return 0;
}
