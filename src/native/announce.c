/* GDB is told by its JIT interface: a list of object files in memory, and a
 * function that is called after each change, in which GDB has a breakpoint.
 * One object file for each piece of code: the name, the place, and how to walk
 * up from it.  All code keeps a frame with rbp, so that is one CIE and one FDE.
 * See GDB's manual, 30 (JIT Compilation Interface), and DWARF 5, 6.4. */
#include "native/announce.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/writer.h"
#include "os/os.h"
#include "wasm/names.h"

static bool for_perf, for_gdb;
static OsMutex lock; /* for the list */

static bool is_on(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value && strcmp(value, "0") != 0;
}

void announce_prepare(void)
{
    for_perf = is_on("CHIASM_PERF");
    for_gdb = is_on("CHIASM_GDB");
    os_mutex_init(&lock);
    if (for_perf)
        code_memory_apart();
}

bool announce_forbids_images(void) { return for_perf; }

/* ---- names */

enum { NAME_BYTES = 200 };

/* Without what would end or hide a line. */
static void put_clean(Writer *w, const char *bytes, uint32_t len)
{
    Name name = {bytes, len};
    const uint8_t *p = (const uint8_t *)bytes;
    const uint8_t *end = p + names_clip(name, NAME_BYTES);
    while (p < end) {
        const uint8_t *q = p;
        uint32_t c = utf8_decode(&q, end);
        bool bad = c == UINT32_MAX || c <= 0x20 || (c >= 0x7f && c < 0xa0);
        if (bad)
            q = p + 1;
        writer_bytes(w, bad ? "?" : (const char *)p, (size_t)(q - p));
        p = q;
    }
}

static void put_name(Writer *w, const NativeCode *code, const char *stub)
{
    if (stub) {
        writer_printf(w, "chiasm_%s", stub);
    } else {
        char buf[16];
        const Module *m = native_module(code->module);
        Name module = names_get(m, NAMES_MODULE, 0);
        Name name = names_of_function(m, code->func->index, buf);
        put_clean(w, module.bytes, module.len);
        writer_text(w, module.len ? "." : "");
        writer_text(w, *name.bytes == '$' ? "" : "$");
        put_clean(w, name.bytes, name.len);
    }
    writer_byte(w, 0);
}

/* ---- GDB's interface: these names and types are its own */

typedef struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
} jit_code_entry;

typedef enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN } jit_action;

typedef struct {
    uint32_t version, action_flag;
    jit_code_entry *relevant_entry, *first_entry;
} jit_descriptor;

__attribute__((used)) jit_descriptor __jit_debug_descriptor = {
    .version = 1, .action_flag = JIT_NOACTION};

void __jit_debug_register_code(void);
__attribute__((noinline, used)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

static void tell(jit_code_entry *entry, jit_action action)
{
    __jit_debug_descriptor.relevant_entry = entry;
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_register_code();
}

/* ---- an object file */

typedef struct {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
} ElfHeader;

typedef struct {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
} ElfSection;

typedef struct {
    uint32_t name;
    uint8_t info, other;
    uint16_t section;
    uint64_t value, size;
} ElfSymbol;

enum {
    SECTION_TEXT = 1,
    SECTION_FRAMES,
    SECTION_SYMBOLS,
    SECTION_STRINGS,
    SECTION_NAMES,
    N_SECTIONS,
    TYPE_PROGBITS = 1,
    TYPE_SYMTAB = 2,
    TYPE_STRTAB = 3,
    TYPE_NOBITS = 8,
    FLAG_ALLOC = 2,
    FLAG_EXEC = 4,
    ELF_REL = 1,
    ELF_X86_64 = 62
};
static const char section_names[] =
    "\0.text\0.debug_frame\0.symtab\0.strtab\0.shstrtab";
static const uint8_t name_at[N_SECTIONS] = {0, 1, 7, 20, 28, 36};

/* Registers, by their numbers in DWARF. */
enum { DWARF_RBP = 6, DWARF_RSP = 7, DWARF_RA = 16 };
enum {
    CFA_ADVANCE = 0x40,
    CFA_OFFSET = 0x80,
    CFA_DEF = 0x0c,
    CFA_DEF_REGISTER = 0x0d,
    CFA_DEF_OFFSET = 0x0e
};

/* What the length before it says, and to a multiple of 8. */
static void end_record(Writer *w, size_t start)
{
    while ((w->len - start) % 8)
        writer_byte(w, 0); /* nop */
    uint32_t len = (uint32_t)(w->len - start - 4);
    memcpy(w->data + start, &len, sizeof len);
}

static bool pushes_rbp(const NativeCode *code)
{
    static const uint8_t prologue[] = {0x55, 0x48, 0x8b, 0xec};
    static const uint8_t other[] = {0x55, 0x48, 0x89, 0xe5};
    return code->size >= 4
           && (!memcmp(code->start, prologue, 4)
               || !memcmp(code->start, other, 4));
}

static void put_frames(Writer *w, const NativeCode *code)
{
    static const uint8_t cie[] = {
        0,        0,         0,    0, /* length */
        0xff,     0xff,      0xff, 0xff,
        1,        0,         1,    0x78,
        DWARF_RA, /* version, factors 1 and -8 */
        CFA_DEF,  DWARF_RSP, 8,    CFA_OFFSET | DWARF_RA,
        1};
    static const uint8_t frame[] = {
        CFA_ADVANCE | 1, CFA_DEF_OFFSET,   16,       CFA_OFFSET | DWARF_RBP, 2,
        CFA_ADVANCE | 3, CFA_DEF_REGISTER, DWARF_RBP};
    const uint64_t range[] = {(uintptr_t)code->start, code->size};
    size_t start = w->len;
    writer_bytes(w, cie, sizeof cie);
    end_record(w, start);
    start = w->len;
    writer_bytes(w, (uint8_t[8]){0}, 8); /* length; the CIE at 0 */
    writer_bytes(w, range, sizeof range);
    if (pushes_rbp(code))
        writer_bytes(w, frame, sizeof frame);
    end_record(w, start);
}

static void put_section(Writer *w, ElfSection *s, uint32_t type,
                        const void *data, size_t size)
{
    while (w->len % 8)
        writer_byte(w, 0);
    *s = (ElfSection){
        .type = type, .offset = w->len, .size = size, .addralign = 8};
    writer_bytes(w, data, size);
}

static void put_sections(Writer *w, const NativeCode *code, const Writer *name,
                         ElfSection *s)
{
    ElfSymbol symbols[2] = {{0}, /* the first is no symbol */
                            {.name = 1,
                             .info = 1 << 4 | 2, /* global, function */
                             .section = SECTION_TEXT,
                             .size = code->size}};
    Writer frames = {0}, strings = {0};
    put_frames(&frames, code);
    writer_byte(&strings, 0);
    writer_bytes(&strings, name->data, name->len);
    put_section(w, &s[SECTION_FRAMES], TYPE_PROGBITS, frames.data, frames.len);
    put_section(w, &s[SECTION_SYMBOLS], TYPE_SYMTAB, symbols, sizeof symbols);
    put_section(w, &s[SECTION_STRINGS], TYPE_STRTAB, strings.data, strings.len);
    put_section(w, &s[SECTION_NAMES], TYPE_STRTAB, section_names,
                sizeof section_names);
    s[SECTION_TEXT] = (ElfSection){.type = TYPE_NOBITS,
                                   .flags = FLAG_ALLOC | FLAG_EXEC,
                                   .addr = (uintptr_t)code->start,
                                   .size = code->size,
                                   .addralign = 16};
    s[SECTION_SYMBOLS].link = SECTION_STRINGS;
    s[SECTION_SYMBOLS].info = 1; /* the first global one */
    s[SECTION_SYMBOLS].entsize = sizeof *symbols;
    for (int k = 0; k < N_SECTIONS; k++)
        s[k].name = name_at[k];
    writer_free(&frames);
    writer_free(&strings);
}

static uint8_t *make_object(const NativeCode *code, const Writer *name,
                            size_t *size)
{
    ElfHeader h = {
        .ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
        .type = ELF_REL,
        .machine = ELF_X86_64,
        .version = 1,
        .shoff = sizeof h,
        .ehsize = sizeof h,
        .shentsize = sizeof(ElfSection),
        .shnum = N_SECTIONS,
        .shstrndx = SECTION_NAMES,
    };
    ElfSection sections[N_SECTIONS] = {0};
    Writer w = {0};
    writer_bytes(&w, &h, sizeof h);
    writer_bytes(&w, sections, sizeof sections);
    put_sections(&w, code, name, sections);
    memcpy(w.data + sizeof h, sections, sizeof sections);
    return writer_take(&w, size);
}

/* ---- in and out */

static void tell_gdb(NativeCode *code, const Writer *name)
{
    jit_code_entry *entry = calloc(1, sizeof *entry);
    size_t size;
    if (!entry)
        return;
    entry->symfile_addr = (const char *)make_object(code, name, &size);
    entry->symfile_size = size;
    os_mutex_lock(&lock);
    entry->next_entry = __jit_debug_descriptor.first_entry;
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry;
    __jit_debug_descriptor.first_entry = entry;
    code->announced = entry;
    tell(entry, JIT_REGISTER_FN);
    os_mutex_unlock(&lock);
}

void native_announce(NativeCode *code, const char *name)
{
    if (!for_perf && !for_gdb)
        return;
    Writer w = {0};
    put_name(&w, code, name);
    if (for_perf)
        os_perf_note((uintptr_t)code->start, code->size, (char *)w.data);
    if (for_gdb)
        tell_gdb(code, &w);
    writer_free(&w);
}

void native_withdraw(NativeCode *code)
{
    jit_code_entry *entry = code->announced;
    if (!entry)
        return;
    os_mutex_lock(&lock);
    if (entry->prev_entry)
        entry->prev_entry->next_entry = entry->next_entry;
    else
        __jit_debug_descriptor.first_entry = entry->next_entry;
    if (entry->next_entry)
        entry->next_entry->prev_entry = entry->prev_entry;
    tell(entry, JIT_UNREGISTER_FN);
    os_mutex_unlock(&lock);
    free((void *)(uintptr_t)entry->symfile_addr);
    free(entry);
    code->announced = NULL;
}
