/* maps.h - what the system says about this process's addresses. */
#ifndef CHI_TEST_MAPS_H
#define CHI_TEST_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* "r-xs" or the like; "" where nothing is mapped. */
static inline const char *protection_at(const void *p)
{
    static char found[8];
    unsigned long long start, end;
    char line[512], mode[8];
    found[0] = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%llx-%llx %4s", &start, &end, mode) == 3
            && (uintptr_t)p >= start && (uintptr_t)p < end)
            snprintf(found, sizeof found, "%s", mode);
    if (f)
        fclose(f);
    return found;
}

/* Mappings that are "rwx" where mode says so, of files named so; "" is any. */
static inline int n_mappings(const char *mode, const char *name)
{
    char line[512], found[8];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%*s %4s", found) != 1 || !strstr(line, name))
            continue;
        bool has_all = true;
        for (const char *m = mode; *m; m++)
            has_all &= strchr(found, *m) != NULL;
        n += has_all;
    }
    if (f)
        fclose(f);
    return n;
}

#endif
