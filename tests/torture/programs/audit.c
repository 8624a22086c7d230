/* An auditor (LD_AUDIT): sees objects come and bindings made. */
#define _GNU_SOURCE
#include <link.h>

unsigned int la_version(unsigned int version) { return version; }
unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie) {
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
