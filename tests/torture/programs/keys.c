/* Destructors of thread-locals that do I/O in all four rounds, in very many threads. Argument: threads. */
#include "probe.h"
#include "calls.h"
#include <pthread.h>

static pthread_key_t key;
static int rounds, bad, sum;
static __thread int mine;

static void destructor(void *value) {
    long left = (long)value;
    char byte;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    errno = 0xdead;
    if (fd < 0 || read(fd, &byte, 1) != 1 || close(fd) != 0 || errno != 0xdead)
        __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
    mine++;
    if (left > 1)
        pthread_setspecific(key, (void *)(left - 1));
}

static void *body(void *n) {
    pthread_setspecific(key, (void *)4L);
    if ((long)n % 500 == 0)
        __atomic_add_fetch(&sum, every_call(), __ATOMIC_RELAXED);
    if ((long)n % 3 == 0)
        pthread_exit(0);
    return 0;
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 1000;
    pthread_key_create(&key, destructor);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (long i = 0; i < threads; i += 4) {
        pthread_t four[4];
        for (int k = 0; k < 4; k++)
            assert(pthread_create(&four[k], &small, body, (void *)(i + k)) == 0);
        for (int k = 0; k < 4; k++)
            assert(pthread_join(four[k], 0) == 0);
    }
    printf("%d rounds, %d bad, %s\n", rounds, bad, bad == 0 ? "ok" : "not");
    show("end");
    return 0;
}
