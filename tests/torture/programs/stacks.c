/* Little room: threads of 16 KiB, coroutines of 8 KiB, signal handlers on the smallest alternative stack. */
#include "probe.h"
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <ucontext.h>

static char self[4096];

#define ROOM 512

/* Calls that need no more than a frame of libc's. */
static int little(void) {
    int ep = epoll_create1(0), fd = eventfd(1, EFD_NONBLOCK), ok;
    struct epoll_event event = {.events = EPOLLIN}, ready[2];
    uint64_t value;
    struct pollfd p = {fd, POLLIN, 0};
    ok = epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, ready, 2, 0) == 1;
    ok &= poll(&p, 1, 0) == 1 && read(fd, &value, 8) == 8 && read(fd, &value, 8) == -1 && errno == EAGAIN;
    int copy = dup(fd);
    ok &= close(copy) == 0 && close(fd) == 0 && close(ep) == 0;
    return ok;
}

static void *small(void *become) {
    long ok = little();
    if (!ok)
        printf("%s\n", strerror(errno));
    if (become) { /* exec from here, with many variables */
        pid_t pid = fork();
        if (pid == 0) {
            execve(self, (char *[]){self, "x", 0}, environ);
            _exit(90);
        }
        int status;
        waitpid(pid, &status, 0);
        ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 8;
        if (!ok)
            printf("status %x\n", status);
    }
    return (void *)ok;
}

static ucontext_t back, there[4];
static volatile int done;

static void coroutine(int n) {
    for (int i = 0; i < 100; i++) {
        done += little();
        swapcontext(&there[n], &back);
    }
    for (;;)
        swapcontext(&there[n], &back);
}

static void handler(int signal) { done += little(); }

static char *guarded(size_t size) {
    char *all = mmap(0, size + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(all, 4096, PROT_NONE);
    return all + 4096;
}

static void *moves(void *unused) {
    for (int n = 0; n < 4; n++)
        swapcontext(&back, &there[n]);
    return unused;
}

int main(int argc, char **argv) {
    if (argc > 1)
        return 8;
    assert(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    assert(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN) == 0);
    pthread_t thread;
    void *result;
    for (int i = 0; i < 3; i++) {
        char name[32], value[32];
        for (int k = 0; k < (i == 2 ? 1000 : 0); k++) {
            snprintf(name, sizeof name, "VARIABLE_%d", k);
            snprintf(value, sizeof value, "%d", k);
            setenv(name, value, 1);
        }
        assert(pthread_create(&thread, &attributes, small, (void *)(long)i) == 0);
        pthread_join(thread, &result);
        printf("16 KiB thread: %d\n", (int)(long)result);
        fflush(stdout);
    }
    for (int n = 0; n < 4; n++) {
        getcontext(&there[n]);
        there[n].uc_stack.ss_sp = guarded(8192);
        there[n].uc_stack.ss_size = 8192;
        there[n].uc_link = &back;
        makecontext(&there[n], (void (*)(void))coroutine, 1, n);
    }
    for (int i = 0; i < 100; i++)
        for (int n = 0; n < 4; n++)
            swapcontext(&back, &there[n]);
    printf("coroutines: %d\n", done);
    /* On to another thread. */
    pthread_create(&thread, 0, moves, 0);
    pthread_join(thread, 0);
    printf("moved: %d\n", done);
    /* What the kernel needs, and as much for the handler as libc's own functions take in I/O. */
    size_t least = sysconf(_SC_MINSIGSTKSZ) + ROOM;
    stack_t other = {.ss_sp = guarded((least + 4095) & ~4095ul) , .ss_size = least};
    printf("sigaltstack: %d\n", sigaltstack(&other, 0));
    fflush(stdout);
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, 0);
    done = 0;
    raise(SIGUSR1);
    printf("smallest handler: %d\n", done);
    show("end");
    return 0;
}
