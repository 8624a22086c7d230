/* Threads cancelled inside calls that never return, signal handlers that call, and destructors of thread-locals that do:
 * tests/preload_processes.rs. Prints what it sees, the same with and without the shim. */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int pair[2], ep, zero, cleaned;
static pthread_key_t key;

static void clean(void *unused) { __atomic_add_fetch(&cleaned, 1, __ATOMIC_RELAXED); }

static void *block(void *which) {
    char byte;
    struct epoll_event events[4];
    struct pollfd p = {pair[0], POLLIN, 0};
    fd_set set;
    pthread_cleanup_push(clean, 0);
    switch ((long)which) {
    case 0: epoll_wait(ep, events, 4, -1); break;
    case 1: epoll_pwait(ep, events, 4, -1, 0); break;
    case 2: poll(&p, 1, -1); break;
    case 3: FD_ZERO(&set); FD_SET(pair[0], &set); select(pair[0] + 1, &set, 0, 0, 0); break;
    case 4: read(pair[0], &byte, 1); break;
    case 5: recv(pair[0], &byte, 1, 0); break;
    case 6: recvfrom(pair[0], &byte, 1, 0, 0, 0); break;
    case 7: sleep(1000); break;
    case 8: pause(); break;
    }
    pthread_cleanup_pop(0);
    return 0;
}

static void *destroyed(void *unused) {
    pthread_setspecific(key, &key);
    return 0;
}

static void destructor(void *unused) {
    static __thread int rounds;
    char byte;
    assert(read(zero, &byte, 1) == 1);
    if (rounds++ < 3)
        pthread_setspecific(key, &key);
}

static void tick(int signal) {
    char byte;
    int before = errno;
    assert(read(zero, &byte, 1) == 1 && errno == before);
}

int main(void) {
    zero = dup(0) ;
    close(zero);
    zero = -1;
    FILE *file = fopen("/dev/zero", "r");
    zero = fileno(file);
    assert(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    ep = epoll_create1(0);
    for (int round = 0; round < 5; round++)
        for (long which = 0; which < 9; which++) {
            pthread_t thread;
            void *result;
            assert(pthread_create(&thread, 0, block, (void *)which) == 0);
            usleep(500);
            assert(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        }
    printf("%d cancelled\n", cleaned);

    assert(pthread_key_create(&key, destructor) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        assert(pthread_create(&thread, 0, destroyed, 0) == 0 && pthread_join(thread, 0) == 0);
    }

    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    assert(sigaction(SIGALRM, &action, 0) == 0);
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    assert(setitimer(ITIMER_REAL, &often, 0) == 0);
    char byte;
    for (int i = 0; i < 50000; i++) {
        errno = 0xdead;
        assert(write(pair[1], "x", 1) == 1 && read(pair[0], &byte, 1) == 1 && errno == 0xdead);
    }
    setitimer(ITIMER_REAL, &never, 0);
    fclose(file);
    puts("done");
    return 0;
}
