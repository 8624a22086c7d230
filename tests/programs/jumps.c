/* Jumps out of calls that never return, nests calls in a handler, and ends while it computes: tests/preload_processes.rs. */
#include <assert.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static sigjmp_buf back;
static int pair[2], zero[2];
static volatile sig_atomic_t nested;

static void out(int signal) { siglongjmp(back, 1); }

static void in(int signal) {
    char byte;
    assert(read(zero[0], &byte, 1) == 1);
    nested++;
}

static void soon(void) {
    struct itimerval once = {{0, 0}, {0, 2000}};
    setitimer(ITIMER_REAL, &once, 0);
}

int main(int argc, char **argv) {
    char byte;
    struct pollfd none = {-1, 0, 0};
    assert(pipe(pair) == 0 && pipe(zero) == 0 && write(zero[1], "x", 1) == 1);
    poll(&none, 1, 1);
    signal(SIGALRM, out);
    if (sigsetjmp(back, 1) == 0) {
        soon();
        read(pair[0], &byte, 1);
    }
    if (sigsetjmp(back, 1) == 0) {
        soon();
        pause();
    }
    assert(write(pair[1], "y", 1) == 1);
    poll(&none, 1, 1);
    /* Interrupted, and gone on with: that one it is inside of to the end. */
    signal(SIGALRM, in);
    soon();
    if (argc > 1) {
        assert(read(pair[0], &byte, 1) == 1);
        read(pair[0], &byte, 1);
    }
    while (!nested)
        ;
    printf("jumped\n");
    return 0;
}
