/* Very many short threads, some detached, some with a name, some that never call. Argument: how many. */
#include "probe.h"
#include <pthread.h>
#include <sys/eventfd.h>

static int sum;

static void *body(void *n) {
    long number = (long)n;
    if (number % 4 == 0)
        return 0;
    int fd = eventfd(1, 0);
    uint64_t value = 0;
    if (read(fd, &value, 8) == 8 && close(fd) == 0)
        __atomic_add_fetch(&sum, value, __ATOMIC_RELAXED);
    return 0;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 10000;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 32 << 10);
    for (long i = 0; i < count; i += 16) {
        pthread_t some[16];
        for (int k = 0; k < 16; k++)
            assert(pthread_create(&some[k], &small, body, (void *)(i + k)) == 0);
        for (int k = 0; k < 16; k++)
            if (k % 5)
                pthread_join(some[k], 0);
            else {
                pthread_detach(some[k]);
            }
    }
    for (int i = 0; i < 60000 && __atomic_load_n(&sum, __ATOMIC_RELAXED) < (count + 15) / 16 * 12; i++)
        usleep(1000);
    printf("%d\n", sum);
    show("end");
    return 0;
}
