/* What nested.c's loop calls: handler, compute, inner. A file of its own, so that it can be a library's. */
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* None is made part of another, or a jump. */
#define FUNCTION __attribute__((noinline, noclone, noipa, optimize("no-optimize-sibling-calls")))

static volatile unsigned result;

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* A leaf: it has no frame whatever the compiler is told. */
FUNCTION unsigned inner(unsigned x) {
    for (int i = 0; i < 20000; i++) x = x * 1664525u + 1013904223u;
    return x;
}

/* Fifty milliseconds. */
FUNCTION unsigned compute(unsigned x) {
    long until = now_ns() + 50000000;
    while (now_ns() < until) x = inner(x);
    return x;
}

/* The same on a stack that is moved to a multiple of 64. */
FUNCTION unsigned aligned(unsigned x, unsigned size) {
    unsigned room[size + 1];
    __attribute__((aligned(64))) unsigned first[16];
    first[x % 16] = room[x % size] = compute(x);
    return first[x % 16] + room[x % size];
}

static void on_signal(int number) { result = compute(number); }

FUNCTION unsigned handler(int fd, char how) {
    char bytes[16];
    unsigned sum = read(fd, bytes, sizeof bytes) > 0;
    if (how == 'c') sum += compute(sum);
    if (how == 'a') sum += aligned(sum, 8);
    if (how == 's') {
        signal(SIGUSR1, on_signal);
        sum += raise(SIGUSR1) == 0;
    }
    return sum + (write(fd, bytes, 1) > 0);
}
