// Pointers that know their memory: bounds, alignment, bank conflicts and coalescing are seen at each access.
#pragma once
#include <stddef.h>
#include <type_traits>
#include "abi.h"

namespace emu {

// An index that carries its place in the source: operators take no default arguments, conversions do.
struct Index {
    ptrdiff_t at;
    const char* file_;
    int line_;
    template <class I, class = std::enable_if_t<std::is_integral_v<I> || std::is_enum_v<I>>>
    Index(I at, EMU_HERE0) : at((ptrdiff_t)at), file_(file_), line_(line_) {}
};

template <class T, Space S> class Ptr {
  public:
    Ptr() = default;
    Ptr(T* at, const void* begin, const void* end) : at_(at), begin_((uintptr_t)begin), end_((uintptr_t)end) {}
    template <class U, class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
    Ptr(const Ptr<U, S>& other) : Ptr(other.get(), (const void*)other.begin(), (const void*)other.end()) {}

    T& operator[](Index i) const {
        T* at = at_ + i.at;
        const Site site{S == Space::Shared ? "shared access" : "global access", i.file_, i.line_};
        check(at, sizeof(T), alignof(T), site);
        if (block->profile) block->api->access(block, S, at, sizeof(T), &site);
        return *at;
    }
    template <class I> Ptr operator+(I n) const { return Ptr(at_ + n, (const void*)begin_, (const void*)end_); }
    template <class I, class = std::enable_if_t<std::is_integral_v<I>>> Ptr operator-(I n) const {
        return *this + -(ptrdiff_t)n;
    }
    ptrdiff_t operator-(const Ptr& other) const { return at_ - other.at_; }
    template <class I> Ptr& operator+=(I n) { at_ += n; return *this; }
    bool operator==(const Ptr& other) const { return at_ == other.at_; }
    explicit operator bool() const { return at_ != nullptr; }

    // The bare address, unchecked: for the instruction wrappers, after `span`.
    T* get() const { return at_; }
    uintptr_t begin() const { return begin_; }
    uintptr_t end() const { return end_; }
    // Reports unless `bytes` from here on lie within what was taken, at an aligned address.
    void span(size_t bytes, size_t alignment, const Site& site) const { check(at_, bytes, alignment, site); }

  private:
    void check(const T* at, size_t bytes, size_t alignment, const Site& site) const {
        const uintptr_t a = (uintptr_t)at;
        if (a < begin_ || a > end_ || end_ - a < bytes)
            block->api->out_of_bounds(block, &site, (int64_t)(a - begin_), bytes, end_ - begin_);
        if (a % alignment) block->api->misaligned(block, &site, at, alignment);
    }
    T* at_ = nullptr;
    uintptr_t begin_ = 0, end_ = 0;
};

// Dynamic shared memory, carved front to back.
class Arena {
  public:
    template <class T> Ptr<T, Space::Shared> take(size_t count, size_t alignment = alignof(T) EMU_HERE) {
        EMU_SITE("shared memory");
        used_ = (used_ + alignment - 1) / alignment * alignment;
        unsigned char* at = block->shared + used_;
        used_ += count * sizeof(T);
        if (used_ > block->shared_bytes)
            block->api->out_of_bounds(block, &site, at - block->shared, count * sizeof(T), block->shared_bytes);
        return Ptr<T, Space::Shared>((T*)at, at, at + count * sizeof(T));
    }

  private:
    size_t used_ = 0;
};

}  // namespace emu
