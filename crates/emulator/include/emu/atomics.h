// Atomics on shared and global memory: blocks run on several OS threads, so these are real ones.
#pragma once
#include <atomic>
#include "abi.h"
#include "math.h"

namespace emu {

// Replaces *p by change(*p) in one step and returns what was there.
template <class Bits, class T, class F> inline T exchange(T* p, F change) {
    static_assert(sizeof(Bits) == sizeof(T));
    Bits* word = (Bits*)p;
    Bits old = __atomic_load_n(word, __ATOMIC_RELAXED), want;
    T value;
    do {
        memcpy(&value, &old, sizeof(T));
        const T changed = change(value);
        memcpy(&want, &changed, sizeof(T));
    } while (!__atomic_compare_exchange_n(word, &old, want, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return value;
}

}  // namespace emu

inline float atomicAdd(float* p, float v) {
    return emu::exchange<uint32_t>(p, [v](float old) { return old + v; });
}
inline int atomicAdd(int* p, int v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicAdd(unsigned* p, unsigned v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
inline unsigned long long atomicAdd(unsigned long long* p, unsigned long long v) {
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
inline int atomicMax(int* p, int v) { return emu::exchange<uint32_t>(p, [v](int old) { return max(old, v); }); }
inline unsigned atomicMax(unsigned* p, unsigned v) {
    return emu::exchange<uint32_t>(p, [v](unsigned old) { return max(old, v); });
}
inline unsigned long long atomicMax(unsigned long long* p, unsigned long long v) {
    return emu::exchange<uint64_t>(p, [v](unsigned long long old) { return max(old, v); });
}
inline int atomicMin(int* p, int v) { return emu::exchange<uint32_t>(p, [v](int old) { return min(old, v); }); }
inline unsigned atomicMin(unsigned* p, unsigned v) {
    return emu::exchange<uint32_t>(p, [v](unsigned old) { return min(old, v); });
}
inline unsigned atomicOr(unsigned* p, unsigned v) { return __atomic_fetch_or(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicAnd(unsigned* p, unsigned v) { return __atomic_fetch_and(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicExch(unsigned* p, unsigned v) { return __atomic_exchange_n(p, v, __ATOMIC_RELAXED); }
inline unsigned atomicCAS(unsigned* p, unsigned expected, unsigned v) {
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
inline unsigned long long atomicCAS(unsigned long long* p, unsigned long long expected, unsigned long long v) {
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
inline void __threadfence(EMU_HERE0) {
    EMU_SITE("__threadfence");
    if (!emu::block->api->removed(emu::block, &site, false)) std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block(EMU_HERE0) {
    EMU_SITE("__threadfence_block");
    if (!emu::block->api->removed(emu::block, &site, false)) std::atomic_thread_fence(std::memory_order_seq_cst);
}
