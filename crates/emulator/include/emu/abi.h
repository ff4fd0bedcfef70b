// The seam between kernels and the emulator; src/abi.rs mirrors it field by field.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };

namespace emu {

struct Block;

// Where in the source something happens: its identity in collectives, in reports and for removal.
struct Site {
    const char* what;
    const char* file;
    int line;
};

// A CUDA thread, as far as its code sees it.
struct Thread {
    uint3 index;
    uint32_t lane, warp;
};

enum class Space : uint32_t { Shared, Global };
enum class Queue : uint32_t { Copy, Matrix, Bulk };

// `operands[lane]` is what each lane of `mask` posted; it points into fibers that stand still meanwhile.
using Leader = void (*)(void* const* operands, uint32_t mask);
using Deferred = void (*)(Block* block, const void* payload);

// What the emulator offers to kernels. Every function may switch to another fiber, or never return after a fault.
struct Table {
    // Barrier `id` of the block; count 0 means every thread that has not returned.
    void (*bar_sync)(Block*, uint32_t id, uint32_t count, const Site*);
    void (*bar_arrive)(Block*, uint32_t id, uint32_t count, const Site*);
    // Waits for all lanes of `mask`; the last one to come runs `leader` (may be null) on what they posted.
    void (*collective)(Block*, uint32_t mask, const Site*, void* operand, Leader leader);
    // Counts an ordering point that is handled in the header; true where the launch asks to leave it out. What the
    // emulator cannot notice the absence of is not `modelled`.
    bool (*removed)(Block*, const Site*, bool modelled);
    // An asynchronous operation: now if copies are eager, otherwise at the last moment that its queue allows.
    void (*defer)(Block*, Queue, Deferred, const void* payload, size_t bytes, const Site*);
    void (*commit)(Block*, Queue, const Site*);
    void (*wait)(Block*, Queue, uint32_t pending, const Site*);
    void (*mbarrier_init)(Block*, const void*, uint32_t count, const Site*);
    // fence.mbarrier_init, and fence.proxy.async, which does that and shows ordinary stores to asynchronous reads.
    void (*mbarrier_fence)(Block*, const Site*);
    void (*proxy_fence)(Block*, const Site*);
    void (*mbarrier_arrive)(Block*, const void*, uint32_t expected_bytes, const Site*);
    void (*mbarrier_complete)(Block*, const void*, uint32_t bytes, const Site*);
    void (*mbarrier_wait)(Block*, const void*, uint32_t parity, const Site*);
    void (*matrix_fence)(Block*, const Site*);
    void (*matrix_issue)(Block*, const Site*);
    // One thread's ordinary access, and a whole request of `lanes` addresses at once; both only when profiling.
    void (*access)(Block*, Space, const void*, uint32_t bytes, const Site*);
    void (*request)(Block*, Space, const void* const* addresses, uint32_t lanes, uint32_t bytes);
    void (*copied)(Block*, uint64_t bytes);
    // Reports that end the launch.
    void (*out_of_bounds)(Block*, const Site*, int64_t offset, uint64_t bytes, uint64_t limit);
    void (*misaligned)(Block*, const Site*, const void*, uint64_t alignment);
    void (*misuse)(Block*, const Site*, const char* why);
};

struct Block {
    const Table* api;
    Thread* current;
    unsigned char* shared;
    unsigned char* async_view;  // shared memory as the asynchronous proxy sees it
    uint32_t shared_bytes;
    uint32_t profile;
    dim3 grid, block;
    uint3 index;
};

// What `KERNEL` leaves in an object for the launcher.
struct Entry {
    const char* name;
    void (*run)(const void* params, Block* block);
    uint64_t params_bytes;
    uint32_t max_threads;
};

// The block whose fibers run on this OS thread; each fiber sets it as it starts.
inline thread_local Block* block = nullptr;

template <class... Rest> constexpr uint32_t first(uint32_t value, Rest...) { return value; }

}  // namespace emu

// Parameters that default to the caller's place in its source; the first form follows other parameters.
#define EMU_HERE0 const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()
#define EMU_HERE , EMU_HERE0
#define EMU_SITE(name) const emu::Site site{name, file_, line_}
