/* owner.h - which entity alone keeps a host pointer alive.
 *
 * For an embedder whose objects refer to each other through the store, and
 * whose own collector must know how.  A root is an entity with one reference
 * from outside; it alone owns a host pointer if no other root, no root of
 * another kind and no second reference reaches that, but for these ways, which
 * the embedder sees itself:
 *
 *   from an instance, that is a root, to an import of it that is one, too;
 *   from a table or global to the instance, a root, that defines it.
 *
 * What more there may be in the heap is not told apart: whatever objects refer
 * to, dead ones included, has no owner.
 */
#ifndef CHI_RUNTIME_OWNER_H
#define CHI_RUNTIME_OWNER_H

#include "runtime/runtime.h"

/* `owner` alone reaches `host`; NULL: nobody, or several do.  A pointer that
 * is told twice with different owners has several. */
typedef void OwnerTell(void *env, void *host, Entity *owner);
/* Tells of each host pointer that something reaches.  false: another thread or
 * this one is inside, there is no memory, or it would take long. */
bool owner_find(Store *s, OwnerTell *tell, void *env);

#endif
