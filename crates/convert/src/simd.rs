//! The one place that asks the processor what it can do.
//!
//! Kernels are plain loops that the compiler vectorises. Compiled for the least x86-64 they get 16-byte vectors; run through
//! [`wide`] they are compiled a second time for AVX2, and the processor chooses. Elsewhere (NEON) the baseline is wide enough.
//! No intrinsics, no pointers.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "architecture.md §1: convert may be unsafe in simd only; one call of a function compiled for AVX2"
    )
)]

/// Runs `work` compiled for the widest vectors that this processor has. Costs one load and one branch.
///
/// `work` must be `#[inline(always)]`, and what it calls too: only what is inlined here is compiled anew.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, which is all that the function asks for.
        return unsafe { avx2(work) };
    }
    work()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}
