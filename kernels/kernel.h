// The one header every kernel includes: the same source compiles under nvcc and, for the emulator, under a host
// compiler. A kernel uses this vocabulary and that of tensor_core.h and hopper.h; inline PTX stands there alone.
//
//   KERNEL(scale, ScaleParams, 256) {          // name, parameter struct (by value), launch bounds
//       DYNAMIC_SHARED(arena);                 // the launch's shared memory, 1024-byte aligned
//       Shared<float> row = arena.take<float>(p.width);
//       Global<const float> x = global<const float>(p.x);
//       row[threadIdx.x] = x[blockIdx.x * p.width + threadIdx.x];
//       __syncthreads();
//       ...
//
// `Shared<T>` and `Global<T>` are plain pointers on the device; on the host they check bounds and alignment and count
// bank conflicts and sectors. Index them (`p[i]`), move them (`p + n`), reread them as wider words (`view<uint4>(p)`).
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__

#include <cuda_bf16.h>

#define DEVICE __device__ __forceinline__
// Host twins take their call site through these; a device has no use for it.
#define HERE
#define HERE0
#define KERNEL(name, Params, ...) \
    extern "C" __global__ void __launch_bounds__(__VA_ARGS__) name(const __grid_constant__ Params p)

template <class T> using Shared = T*;
template <class T> using Global = T*;
// Says of an address in the parameters that it is global memory's, so that loads and stores need not find out.
template <class T> DEVICE Global<T> global(uint64_t address) { return (T*)__cvta_global_to_generic(address); }
template <class U, class T> DEVICE U* view(T* p) { return (U*)p; }

// Dynamic shared memory, carved front to back.
class Arena {
  public:
    DEVICE explicit Arena(unsigned char* base) : base_(base) {}
    template <class T> DEVICE Shared<T> take(size_t count, size_t alignment = alignof(T)) {
        used_ = (used_ + alignment - 1) / alignment * alignment;
        T* at = (T*)(base_ + used_);
        used_ += count * sizeof(T);
        return at;
    }

  private:
    unsigned char* base_;
    size_t used_ = 0;
};
extern __shared__ __align__(1024) unsigned char dynamic_shared[];
#define DYNAMIC_SHARED(name) Arena name(dynamic_shared)

// An address in shared memory as PTX wants it.
DEVICE uint32_t shared_address(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }

#else

#include "emu.h"

#define DEVICE inline
#define HERE EMU_HERE
#define HERE0 EMU_HERE0
#define KERNEL(name, Params, ...)                                                                        \
    static void name##_body(const Params& p);                                                            \
    extern "C" const emu::Entry name;                                                                    \
    const emu::Entry name = {#name,                                                                      \
                             [](const void* params, emu::Block* block) {                                 \
                                 emu::block = block;                                                     \
                                 name##_body(*(const Params*)params);                                    \
                             },                                                                          \
                             sizeof(Params), emu::first(__VA_ARGS__)};                                   \
    static void name##_body(const Params& p)

template <class T> using Shared = emu::Ptr<T, emu::Space::Shared>;
template <class T> using Global = emu::Ptr<T, emu::Space::Global>;
template <class T> inline Global<T> global(uint64_t address) {
    return Global<T>((T*)address, nullptr, (const void*)UINTPTR_MAX);
}
template <class U, class T, emu::Space S> inline emu::Ptr<U, S> view(emu::Ptr<T, S> p) {
    return emu::Ptr<U, S>((U*)p.get(), (const void*)p.begin(), (const void*)p.end());
}
using emu::Arena;
#define DYNAMIC_SHARED(name) Arena name

template <class T> inline uint32_t shared_address(Shared<T> p) {
    return (uint32_t)((unsigned char*)p.get() - emu::block->shared);
}

#endif

constexpr uint32_t FULL_WARP = 0xffffffffu;

// Barrier `id` (1 to 15; 0 is __syncthreads') among `threads` threads, a multiple of 32: waits for all of them.
DEVICE void named_barrier_sync(uint32_t id, uint32_t threads HERE) {
#ifdef __CUDACC__
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
    EMU_SITE("bar.sync");
    emu::block->api->bar_sync(emu::block, id, threads, &site);
#endif
}

// Counts as arrived at barrier `id` without waiting there.
DEVICE void named_barrier_arrive(uint32_t id, uint32_t threads HERE) {
#ifdef __CUDACC__
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
    EMU_SITE("bar.arrive");
    emu::block->api->bar_arrive(emu::block, id, threads, &site);
#endif
}
