/* Libraries loaded late, in every way, that do I/O: arguments: the library (early.c). */
#include "probe.h"
#include "calls.h"
#include <dlfcn.h>
#include <pthread.h>

static char *library;

static void use(const char *how, void *loaded) {
    if (!loaded) {
        printf("%s: not loaded\n", how);
        return;
    }
    int (*calls)(void) = dlsym(loaded, "early_calls");
    printf("%s: %d\n", how, calls());
    fflush(stdout);
}

static void *thread(void *unused) {
    for (int i = 0; i < 20; i++) {
        void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        every_call();
        dlclose(loaded);
    }
    return unused;
}

int main(int argc, char **argv) {
    library = argv[1];
    printf("%d\n", every_call());
    void *a = dlopen(library, RTLD_NOW | RTLD_DEEPBIND);
    use("deep", a);
    dlclose(a);
    a = dlopen(library, RTLD_LAZY | RTLD_GLOBAL);
    use("global", a);
    dlclose(a);
    a = dlmopen(LM_ID_NEWLM, library, RTLD_NOW);
    use("namespace", a);
    if (a)
        dlclose(a);
    pthread_t four[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&four[i], 0, thread, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(four[i], 0);
    /* What a program finds when it looks for libc's functions. */
    const char *names[] = {"read", "epoll_wait", "close", "fopen", "vfork", "syscall"};
    for (int i = 0; i < 6; i++)
        printf("%s %d %d\n", names[i], dlsym(RTLD_DEFAULT, names[i]) != 0, dlsym(RTLD_NEXT, names[i]) != 0);
    show("end");
    return 0;
}
