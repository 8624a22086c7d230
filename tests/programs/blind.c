/* Waits in ways that a shim cannot see, or comes to be without it, until TERM ends it; what can be seen, and what only looks like
   it, lasts for 1.5 s: see tests/preload_blind.rs.

   blind raw | ring | strict | cleaned | replaced | polls | stays | never | waits | forked | asleep */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A system call of its own, as runtimes without libc make it. */
static long direct(long nr, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(nr)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return nr;
#else
    register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                  x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
#endif
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void raw(void) {
    int ep = direct(SYS_epoll_create1, 0, 0, 0, 0, 0, 0), fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.fd = fd}};
    direct(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, fd, (long)&e, 0, 0);
    for (;;) /* always in it: one that is looked at outside of it is blind for another reason */
        direct(SYS_epoll_pwait, ep, (long)&e, 1, -1, 0, 8);
}

static void ring(void) {
    struct io_uring_params p;
    memset(&p, 0, sizeof p);
    int fd = direct(SYS_io_uring_setup, 4, (long)&p, 0, 0, 0, 0);
    if (fd < 0) {
        printf("refused\n");
        return;
    }
    /* Nothing was submitted, so nothing completes. */
    direct(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
}

static void nothing(int signal) {
    (void)signal;
}

/* A loop made through libc, which sleeps in a poll of its own. TERM interrupts that, and it ends well. */
static void polls(void) {
    signal(SIGTERM, nothing);
    int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.fd = fd}};
    struct { int fd; short asked, told; } polled = {ep, 1, 0};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    direct(SYS_ppoll, (long)&polled, 1, 0, 0, 8, 0);
}

/* One that only looks, without sleeping in it. */
static void never(void) {
    int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.fd = fd}};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    direct(SYS_epoll_pwait, ep, (long)&e, 1, 0, 0, 8);
}

static void waits(double seconds) {
    int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.fd = fd}};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    for (double until = now() + seconds; now() < until;)
        epoll_wait(ep, &e, 1, 100);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    alarm(100); /* so that a test that fails comes to an end */
    if (strcmp(how, "raw") == 0) {
        raw();
    } else if (strcmp(how, "ring") == 0) {
        ring();
    } else if (strcmp(how, "strict") == 0) {
        int ends[2];
        char byte;
        pipe(ends);
        prctl(PR_SET_SECCOMP, 1, 0, 0, 0);
        read(ends[0], &byte, 1);
    } else if (strcmp(how, "cleaned") == 0) {
        /* Becomes itself with nothing of the environment, by no function of libc. */
        char self[4096] = "", *args[] = {"blind", "stays", 0}, *none[] = {0};
        readlink("/proc/self/exe", self, sizeof self - 1);
        direct(SYS_execve, (long)self, (long)args, (long)none, 0, 0, 0);
    } else if (strcmp(how, "replaced") == 0) {
        char self[4096] = "";
        readlink("/proc/self/exe", self, sizeof self - 1);
        setenv("LD_PRELOAD", "libm.so.6", 1);
        execl(self, "blind", "stays", (char *)0);
    } else if (strcmp(how, "polls") == 0) {
        polls();
    } else if (strcmp(how, "never") == 0) {
        never();
    } else if (strcmp(how, "waits") == 0) {
        waits(1.5);
    } else if (strcmp(how, "stays") == 0) {
        waits(1000);
    } else if (strcmp(how, "forked") == 0) {
        /* A child that has its parent's registrations and never looks at them. */
        int ep = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
        struct epoll_event e = {EPOLLIN, {.fd = fd}};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
        if (fork() == 0) {
            usleep(1500000);
            _exit(0);
        }
        epoll_wait(ep, &e, 1, 10);
        wait(0);
    } else {
        /* Prepares its loop for long, and then waits. */
        int ep = epoll_create1(0), fd = eventfd(1, EFD_NONBLOCK);
        struct epoll_event e = {EPOLLIN, {.fd = fd}};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
        usleep(1500000);
        epoll_wait(ep, &e, 1, -1);
    }
    return 0;
}
