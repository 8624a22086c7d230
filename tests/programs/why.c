/* Handlers that are long for five different reasons, ROUNDS times in turn: see tests/run_why.rs.

   why FILE ROUNDS          FILE is on a disk; it is filled and thrown out of memory again and again

   Prints for each handler run: its reason, its descriptor, and what the kernel's own books say of the thread while it ran: nanoseconds
   on the clock, on a CPU, waiting for a CPU (/proc/thread-self/schedstat). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { COMPUTES, SLEEPS, FAULTS, LOCKS, PREEMPTED, REASONS };
static const char *const names[] = {"computes", "sleeps", "faults", "locks", "preempted"};
static const size_t size = 200 << 20;
static int cold, books;
static pid_t neighbour;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int held, wanted, served;

static long long now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void compute(void) {
    long long until = now(CLOCK_THREAD_CPUTIME_ID) + 50000000;
    while (now(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
}

/* Holds the mutex for 50 ms after somebody wants it. */
static void *holder(void *unused) {
    for (;;) {
        pthread_mutex_lock(&mutex);
        atomic_store(&held, 1);
        while (!atomic_load(&wanted))
            usleep(500);
        usleep(50000);
        atomic_store(&held, 0);
        atomic_store(&wanted, 0);
        pthread_mutex_unlock(&mutex);
        /* The other one is woken by the unlock, and shall have it, however long that takes. */
        while (!atomic_exchange(&served, 0))
            usleep(500);
    }
    return unused;
}

/* Reads every page of the file through memory. */
static void fault(void) {
    volatile char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, cold, 0);
    for (size_t i = 0; i < size; i += 4096)
        (void)at[i];
    munmap((void *)at, size);
}

static void handle(int reason) {
    switch (reason) {
    case COMPUTES: compute(); break;
    case SLEEPS: nanosleep(&(struct timespec){0, 50000000}, NULL); break;
    case FAULTS: fault(); break;
    case LOCKS:
        atomic_store(&wanted, 1);
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        atomic_store(&served, 1);
        break;
    case PREEMPTED: compute(); break;
    }
}

/* What has to be so before the handler runs. */
static void prepare(int reason) {
    if (reason == FAULTS)
        posix_fadvise(cold, 0, 0, POSIX_FADV_DONTNEED);
    while (reason == LOCKS && !atomic_load(&held))
        usleep(500);
    if (reason == PREEMPTED)
        kill(neighbour, SIGCONT);
}

static void restore(int reason) {
    if (reason == PREEMPTED)
        kill(neighbour, SIGSTOP);
}

/* Nanoseconds that this thread has waited for a CPU. */
static long long delay(void) {
    char text[128] = {0};
    long long ran, waited = 0;
    if (pread(books, text, sizeof text - 1, 0) > 0)
        sscanf(text, "%lld %lld", &ran, &waited);
    return waited;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    /* One CPU for all of us, so that the neighbour is one. */
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof all, &all);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && !CPU_COUNT(&one))
            CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    neighbour = fork();
    if (!neighbour) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            ;
    }
    kill(neighbour, SIGSTOP);
    cold = open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600);
    unlink(argv[1]);
    static char block[1 << 20];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 2654435761u >> 24);
    for (size_t at = 0; at < size; at += sizeof block)
        if (write(cold, block, sizeof block) != (ssize_t)sizeof block)
            return perror("cannot fill the file"), 1;
    fsync(cold);
    books = open("/proc/thread-self/schedstat", O_RDONLY);
    pthread_t thread;
    pthread_create(&thread, NULL, holder, NULL);
    int ep = epoll_create1(0), pairs[REASONS][2];
    for (int i = 0; i < REASONS; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]);
        struct epoll_event e = {EPOLLIN, {.u32 = (unsigned)i}};
        epoll_ctl(ep, EPOLL_CTL_ADD, pairs[i][0], &e);
    }
    for (int round = 0; round < atoi(argv[2]); round++)
        for (int reason = 0; reason < REASONS; reason++) {
            char byte = 0;
            prepare(reason);
            write(pairs[reason][1], &byte, 1);
            struct epoll_event e;
            if (epoll_wait(ep, &e, 1, -1) != 1 || e.data.u32 != (unsigned)reason)
                return 3;
            int fd = pairs[reason][0];
            long long cpu = now(CLOCK_THREAD_CPUTIME_ID), late = delay(), wall = now(CLOCK_MONOTONIC);
            read(fd, &byte, 1); /* the handler begins */
            handle(reason);
            write(fd, &byte, 1); /* and ends */
            wall = now(CLOCK_MONOTONIC) - wall;
            restore(reason);
            printf("%s %d %lld %lld %lld\n", names[reason], fd, wall, now(CLOCK_THREAD_CPUTIME_ID) - cpu,
                   delay() - late);
            fflush(stdout);
            read(pairs[reason][1], &byte, 1);
        }
    kill(neighbour, SIGKILL);
    waitpid(neighbour, NULL, 0);
    return 0;
}
