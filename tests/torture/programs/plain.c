/* A program that does what programs do, for whoever else is preloaded. */
#include "probe.h"
#include "calls.h"
#include <pthread.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void *thread(void *unused) {
    for (int i = 0; i < 20; i++) {
        free(malloc(100000));
        /* One at a time: it closes numbers and looks whether they are closed. */
        pthread_mutex_lock(&turn);
        every_call();
        pthread_mutex_unlock(&turn);
    }
    return unused;
}

int main(int argc, char **argv) {
    char text[64];
    int n = snprintf(text, sizeof text, "hello there: %d\n", every_call());
    write(1, text, n);
    pthread_t four[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&four[i], 0, thread, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(four[i], 0);
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100));
        _exit(every_call() != 0);
    }
    show_end("child", child);
    show("end");
    return 5;
}
