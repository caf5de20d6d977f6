//! What the two x86 backends share: a token that only detection can make, and operations that rest on it.
//!
//! The `unsafe` blocks of this crate are two, both in the macro [`backend`], and rest on that token.

/// Whether this processor, and its operating system, have every feature of a `#[target_feature]` list.
///
/// The lists are matched as they are written in the attribute, so that a backend cannot enable one set and detect another.
macro_rules! is_detected {
    ("avx2,fma") => {
        $crate::simd::x86::has!("avx2") && $crate::simd::x86::has!("fma")
    };
    ("avx512f") => {
        $crate::simd::x86::has!("avx512f")
    };
}

/// One feature: asked of the processor, for which the standard library is needed.
#[cfg(feature = "std")]
macro_rules! has {
    ($feature:tt) => {
        std::arch::is_x86_feature_detected!($feature)
    };
}

/// One feature: known from the flags that this crate is compiled with.
#[cfg(not(feature = "std"))]
macro_rules! has {
    ($feature:tt) => {
        cfg!(target_feature = $feature)
    };
}

/// Declares a backend: its token, its entry function, and its implementation of [`Simd`](crate::simd::Simd).
macro_rules! backend {
    (
        $(#[$doc:meta])*
        $Token:ident, entered by $entry:ident with $features:tt,
        $vector:ty, tile $tile:expr;
        $($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $Token {
            /// Private, and made by `detect` alone: whoever holds a token runs on a processor that has the features.
            _detected: (),
        }

        impl $crate::simd::Simd for $Token {
            type Vector = $vector;

            const FUSED: bool = true;
            const TILE: (usize, usize) = $tile;

            fn detect() -> Option<Self> {
                $crate::simd::x86::is_detected!($features).then_some(Self { _detected: () })
            }

            #[inline(always)]
            fn enter<K: $crate::simd::Kernel>(self, kernel: K) -> K::Output {
                #[target_feature(enable = $features)]
                fn $entry<K: $crate::simd::Kernel>(token: $Token, kernel: K) -> K::Output {
                    kernel.run(token)
                }
                // SAFETY: `self` exists, so `detect` found the features that the entry enables.
                unsafe { $entry(self, kernel) }
            }

            $(
                $(#[$attribute])*
                #[inline(always)]
                fn $name(self, $($argument: $type),*) -> $result {
                    #[target_feature(enable = $features)]
                    #[inline]
                    fn operation($($argument: $type),*) -> $result $body
                    // SAFETY: `self` exists, so `detect` found the features that the operation enables.
                    unsafe { operation($($argument),*) }
                }
            )*
        }
    };
}

pub(crate) use {backend, has, is_detected};
