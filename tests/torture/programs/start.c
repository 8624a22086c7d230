/* Calls before anybody's constructor: from .preinit_array, and from a constructor of a library that is initialised first
   (early.c). Then what is there at the start of main. */
#include "probe.h"
#include "calls.h"

int early_calls(void); /* early.c */
static int before;

static void first(void) { before = every_call(); }
__attribute__((section(".preinit_array"), used)) static void (*const array)(void) = first;

static int constructed;
__attribute__((constructor)) static void second(void) { constructed = every_call(); }

static void at_end(void) {
    printf("atexit: %d\n", every_call());
    fflush(stdout);
}
__attribute__((destructor)) static void last(void) {
    char text[64];
    int n = snprintf(text, sizeof text, "destructor: %d\n", every_call());
    write(1, text, n);
}

int main(int argc, char **argv) {
    show("main");
    show_environment();
    for (int i = 1; i < argc; i++)
        printf("argument %s\n", argv[i]);
    printf("before %d, library %d, constructor %d, main %d\n", before, early_calls(), constructed, every_call());
    atexit(at_end);
    show("later");
    return 3;
}
