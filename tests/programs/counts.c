/* Writes 1, 2, 3 … bytes to nowhere, on each of its threads, and counts in a page that outlives it, before each call and
   after it: tests/preload_kill.rs. Argument: the page's file. */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 3

/* As tests/session_support has it: pid, ready, how far each thread may go, then from word 8 what each has done and begun. */
static volatile uint64_t *page;
static int nowhere;

static void *run(void *which) {
    long thread = (long)which;
    static char from[1];
    struct epoll_event event;
    int ep = epoll_create1(0);
    for (uint64_t n = 1;; n++) {
        /* What the rings hold: a collector that is kept from the CPU loses nothing. */
        while (n > page[2])
            assert(epoll_wait(ep, &event, 1, 1) == 0);
        page[8 + THREADS + thread] = n;
        assert(write(nowhere, from, n) == n);
        page[8 + thread] = n;
        page[1] = 1;
        /* Slower than the collector, faster than its passes. */
        if (n % 100 == 0)
            assert(epoll_wait(ep, &event, 1, 1) == 0);
    }
    return 0;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int file = open(argv[1], O_RDWR);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert(page != MAP_FAILED);
    nowhere = open("/dev/null", O_WRONLY);
    page[0] = getpid();
    /* So that there is a loop to record, whenever the end comes. */
    struct epoll_event event;
    assert(epoll_wait(epoll_create1(0), &event, 1, 0) == 0);
    for (long i = 1; i < THREADS; i++)
        assert(pthread_create(&thread, 0, run, (void *)i) == 0);
    run(0);
    return 1;
}
