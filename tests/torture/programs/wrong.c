/* For the sanitizers: what it does right, and what it does wrong when asked. */
#include "probe.h"
#include "calls.h"
#include <pthread.h>

static int shared, turn;
/* One after the other, and both there until the second is done, so that the report is the same every time. What they wait for
   orders nothing, as the sanitizer sees it; a sleep would stand in the report. */
static void *race(void *which) {
    while (__atomic_load_n(&turn, __ATOMIC_RELAXED) != (int)(long)which)
        sched_yield();
    for (int i = 0; i < 1000; i++)
        shared++;
    __atomic_store_n(&turn, (int)(long)which + 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&turn, __ATOMIC_RELAXED) != 2)
        sched_yield();
    return 0;
}
static void *right(void *unused) { return (void *)(long)every_call(); }

int main(int argc, char **argv) {
    pthread_t threads[4];
    void *result;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, right, 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &result);
        printf("%s\n", result ? "ok" : "none");
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(every_call() ? 3 : 4);
    show_end("child", child);
    if (argc > 1 && !strcmp(argv[1], "overflow")) {
        char *little = malloc(4);
        int zero = open("/dev/zero", O_RDONLY);
        read(zero, little, 16);
        printf("%d\n", little[0]);
    }
    if (argc > 1 && !strcmp(argv[1], "race")) {
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], 0, race, (void *)(long)i);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], 0);
    }
    if (argc > 1 && !strcmp(argv[1], "undefined")) {
        volatile int big = 0x7fffffff;
        big = big + argc;
    }
    printf("done\n");
    return 9;
}
