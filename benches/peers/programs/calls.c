/* calls: what one call costs the program that makes it, or so many calls a second.
 *
 *   calls KIND CPU CALLS TIMES                prints nanoseconds a call of TIMES series, the least and the median: of the
 *                                             clock's, then of the processor's that the thread itself used
 *   calls paced CPU CALLS_PER_SECOND SECONDS  reads at that pace; prints the calls made and the seconds they took
 *
 * `read` takes one byte from /dev/zero; `epoll_wait` finds one eventfd ready; `mark` and `handler` (its begin and its end)
 * are those of docs/loopscope.h; `nothing` is the call of a function without them. The program stays on CPU (-1: wherever it
 * is), says "ready PID" on stderr, and begins when a line comes in on stdin: a tracer has been attached by then. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "loopscope.h"

#define NOINLINE __attribute__((__noinline__))

enum { MOST_TIMES = 64, BETWEEN_CLOCKS = 128 };

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double seconds_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double now(void) {
    return seconds_of(CLOCK_MONOTONIC);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void reads(int zero, long calls) {
    char byte;
    for (long i = 0; i < calls; i++)
        if (read(zero, &byte, 1) != 1) fail("read");
}

static void waits(int ep, long calls) {
    struct epoll_event events[16];
    for (long i = 0; i < calls; i++)
        if (epoll_wait(ep, events, 16, 0) != 1) fail("epoll_wait");
}

static NOINLINE void unmarked(void) {
    __asm__ volatile("");
}

static NOINLINE void marked(void) {
    __asm__ volatile("");
    loopscope_mark("marked");
}

static NOINLINE void served(int fd) {
    __asm__ volatile("");
    loopscope_handler_begin(fd, "served");
    loopscope_handler_end();
}

static void nothings(int fd, long calls) {
    (void)fd;
    for (long i = 0; i < calls; i++) unmarked();
}

static void marks(int fd, long calls) {
    (void)fd;
    for (long i = 0; i < calls; i++) marked();
}

static void handlers(int fd, long calls) {
    for (long i = 0; i < calls; i++) served(fd);
}

/* Calls until the end, never ahead of the pace; behind it, as fast as it goes. */
static void paced(int zero, double per_second, double seconds) {
    double began = now(), at = began;
    long done = 0;
    while (at - began < seconds) {
        if ((at - began) * per_second >= done) {
            reads(zero, BETWEEN_CLOCKS);
            done += BETWEEN_CLOCKS;
        }
        at = now();
    }
    printf("%ld %.6f\n", done, at - began);
}

int main(int count, char **args) {
    if (count != 5) {
        fprintf(stderr, "usage: calls read|epoll_wait|mark|handler|nothing|paced CPU CALLS TIMES\n");
        return 2;
    }
    int cpu = atoi(args[2]), times = atoi(args[4]);
    if (cpu >= 0) {
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(cpu, &only);
        if (sched_setaffinity(0, sizeof only, &only)) fail("sched_setaffinity");
    }
    setpriority(PRIO_PROCESS, 0, -10); /* where one may: fewer interruptions */
    int zero = open("/dev/zero", O_RDONLY), ep = epoll_create1(0), ready = eventfd(1, 0);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = ready};
    if (zero < 0 || ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ready, &interest)) fail("setting up");
    waits(ep, 1); /* one turn, so that this is an event loop whatever it measures */

    char line[16];
    fprintf(stderr, "ready %d\n", getpid());
    if (!fgets(line, sizeof line, stdin)) return 1;
    if (!strcmp(args[1], "paced")) {
        paced(zero, atof(args[3]), atof(args[4]));
        return 0;
    }
    const struct {
        const char *name;
        void (*run)(int fd, long calls);
        int fd;
    } kinds[] = {
        {"read", reads, zero}, {"epoll_wait", waits, ep}, {"mark", marks, ready},
        {"handler", handlers, ready}, {"nothing", nothings, ready},
    };
    unsigned kind = 0;
    while (strcmp(args[1], kinds[kind].name))
        if (++kind == sizeof kinds / sizeof *kinds) return 2;
    long calls = atol(args[3]);
    if (times < 1 || times > MOST_TIMES || calls < 1) return 2;
    double took[MOST_TIMES], used[MOST_TIMES];
    for (int i = 0; i < times; i++) {
        double began = now(), had = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        kinds[kind].run(kinds[kind].fd, calls);
        used[i] = (seconds_of(CLOCK_THREAD_CPUTIME_ID) - had) * 1e9 / calls;
        took[i] = (now() - began) * 1e9 / calls;
        usleep(20000);
    }
    qsort(took, times, sizeof *took, ascending);
    qsort(used, times, sizeof *used, ascending);
    printf("%.2f %.2f %.2f %.2f\n", took[0], took[times / 2], used[0], used[times / 2]);
    return 0;
}
