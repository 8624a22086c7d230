/* A library whose constructor calls everything. */
#define _GNU_SOURCE
#include "calls.h"

static int count;
__attribute__((constructor)) static void first(void) { count = every_call(); }
int early_calls(void) { return count; }
