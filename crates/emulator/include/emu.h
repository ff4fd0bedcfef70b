// The CUDA execution model for a host compiler: what a kernel source needs besides its own vocabulary.
//
// A kernel compiled with this header runs one fiber a CUDA thread. Everything that needs to know of other threads
// goes through `emu::Table` (abi.h), which the emulator passes in at launch, so objects link without it.
// There is deliberately no `__shared__`: shared memory comes from the launch, where it is poisoned and bounded.
#pragma once
#include "emu/abi.h"
#include "emu/types.h"
#include "emu/math.h"
#include "emu/bf16.h"
#include "emu/pointer.h"
#include "emu/warp.h"
#include "emu/atomics.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

#define threadIdx (emu::block->current->index)
#define blockIdx (emu::block->index)
#define blockDim (emu::block->block)
#define gridDim (emu::block->grid)
#define warpSize 32

inline void __syncthreads(EMU_HERE0) {
    EMU_SITE("__syncthreads");
    emu::block->api->bar_sync(emu::block, 0, 0, &site);
}
