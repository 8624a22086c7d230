/* Every way to end, with calls in flight on another thread. */
#include "probe.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static void say(const char *text) { write(1, text, strlen(text)); }
static void at_exit(void) { say("atexit\n"); }
static void at_quick(void) { say("at_quick_exit\n"); }
__attribute__((destructor)) static void at_last(void) { say("destructor\n"); }

static void *waits(void *unused) {
    int ep = epoll_create1(0);
    struct epoll_event ready;
    epoll_wait(ep, &ready, 1, -1);
    return unused;
}
static void *calls(void *unused) {
    int fd = eventfd(0, 0);
    uint64_t one = 1;
    for (;;)
        if (write(fd, &one, 8) != 8 || read(fd, &one, 8) != 8)
            abort();
    return unused;
}
static void *ends_all(void *unused) {
    usleep(2000);
    exit(33);
}
static void *outlives(void *unused) {
    usleep(20000);
    say("outlived\n");
    return unused;
}

static int ends(int how, char **argv) {
    pthread_t thread;
    atexit(at_exit);
    at_quick_exit(at_quick);
    printf("buffered %d\n", how);
    pthread_create(&thread, 0, waits, 0);
    if (how % 2)
        pthread_create(&thread, 0, calls, 0);
    usleep(2000);
    switch (how / 2) {
    case 0: return 30;
    case 1: exit(31);
    case 2: _exit(32);
    case 3: quick_exit(33);
    case 4: abort();
    case 5: kill(getpid(), SIGKILL); break;
    case 6: kill(getpid(), SIGTERM); break;
    case 7: raise(SIGSEGV); break;
    case 8: *(volatile int *)8 = 1; break;
    case 9: execv(argv[0], (char *[]){argv[0], "exec'd", NULL}); break;
    case 10: syscall(SYS_exit_group, 34); break;
    case 11: pthread_create(&thread, 0, ends_all, 0); pthread_exit(0);
    case 12: pthread_create(&thread, 0, ends_all, 0); pause(); break;
    case 13: _Exit(35);
    case 14: pthread_create(&thread, 0, ends_all, 0); syscall(SYS_exit, 0); break;
    case 15: __builtin_trap();
    case 16: alarm(0); ualarm(1000, 0); pause(); break;
    case 17: fclose(stdout); return 36;
    }
    return 99;
}

int main(int argc, char **argv) {
    if (argc > 1)
        return 37;
    for (int how = 0; how < 36; how++) {
        pid_t child = fork();
        if (child == 0)
            return ends(how, argv);
        char name[16];
        snprintf(name, sizeof name, "%d", how);
        show_end(name, child);
    }
    /* The main thread leaves first. */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, 0, outlives, 0);
        pthread_exit(0);
    }
    show_end("main first", child);
    fflush(stdout);
    _exit(0);
}
