/* announce.h - tells debuggers and profilers of the system of machine code.
 *
 * Does nothing unless the environment asks for it: CHIASM_PERF=1 writes the
 * map of names that Linux's perf reads, CHIASM_GDB=1 registers each piece of
 * code with GDB.  Names are those of tracebacks, behind the module's:
 * "lua.$luaV_execute".
 */
#ifndef CHI_NATIVE_ANNOUNCE_H
#define CHI_NATIVE_ANNOUNCE_H

#include "native/internal.h"

/* Before the first code is made.  Images of code are not to be used: perf
 * takes a mapped file for a library, and finds no names in it. */
void announce_prepare(void);
bool announce_forbids_images(void);

/* When the code is where it runs.  name: of a stub; a function has its own. */
void native_announce(NativeCode *code, const char *name);
/* Before it is freed. */
void native_withdraw(NativeCode *code);

#endif
