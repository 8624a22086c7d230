/* A timer at 20 kHz whose handler does I/O, and jumps out of whatever call was interrupted. Argument: milliseconds. */
#include "probe.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

static sigjmp_buf back;
static volatile sig_atomic_t jumps, may, ticks;
static int pair[2], ep, event_fd, zero;

static void tick(int signal) {
    int before = errno;
    char byte = 'x';
    uint64_t one = 1;
    struct epoll_event ready[2];
    ticks++;
    assert(read(zero, &byte, 1) == 1);
    assert(write(event_fd, &one, 8) == 8 && epoll_wait(ep, ready, 2, 0) == 1 && read(event_fd, &one, 8) == 8);
    assert(read(event_fd, &one, 8) == -1 && errno == EAGAIN);
    errno = before;
    if (may && ticks % 7 == 0) {
        may = 0;
        jumps++;
        siglongjmp(back, 1);
    }
}

static void run(long ms, int mode) {
    struct timespec start, now, little = {0, 200000};
    volatile long calls = 0;
    char byte[16];
    jumps = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (!mode) {
            for (int i = 0; i < 50; i++) {
                errno = 0xdead;
                assert(write(pair[1], "y", 1) == 1 && recv(pair[0], byte, 16, 0) == 1 && errno == 0xdead);
            }
            calls++;
        } else if (sigsetjmp(back, 1) == 0) {
            struct pollfd p = {pair[0], POLLIN, 0};
            may = 1;
            recv(pair[0], byte, 16, MSG_DONTWAIT);
            poll(&p, 1, 1);
            nanosleep(&little, 0);
            write(pair[1], "y", 1);
            may = 0;
            calls++;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        /* And until it has jumped once: a busy machine may take the whole time from us. */
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms || (mode && !jumps));
    printf("mode %d: %s\n", mode, mode ? jumps ? "jumps" : "no jumps" : calls ? "calls" : "none");
    fflush(stdout);
}

int main(int argc, char **argv) {
    long ms = argc > 1 ? atol(argv[1]) : 500;
    zero = open("/dev/zero", O_RDONLY);
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    ep = epoll_create1(0);
    event_fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    assert(epoll_ctl(ep, EPOLL_CTL_ADD, event_fd, &event) == 0);
    stack_t other = {.ss_sp = malloc(SIGSTKSZ), .ss_size = SIGSTKSZ};
    assert(sigaltstack(&other, 0) == 0);
    for (int mode = 0; mode < 3; mode++) {
        struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART | (mode == 2 ? SA_ONSTACK : 0)};
        assert(sigaction(SIGALRM, &action, 0) == 0);
        struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
        assert(setitimer(ITIMER_REAL, &often, 0) == 0);
        run(ms, mode);
        setitimer(ITIMER_REAL, &never, 0);
    }
    /* Nested: a handler that is interrupted by another. */
    show("end");
    return 0;
}
