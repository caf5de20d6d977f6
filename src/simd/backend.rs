//! Which instructions the kernels run on: detected once, held as a value, chosen by hand or by name.

use core::fmt;
use core::str::FromStr;

use super::Simd;
use crate::error::Error;

/// A computation that is written once and run on any backend.
///
/// Implementations are records of arguments; [`run`](Kernel::run) is `#[inline(always)]`, so that the whole computation
/// is compiled inside the backend's entry function, with its instructions.
pub(crate) trait Kernel {
    type Output;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The instruction set that a model is trained and evaluated with.
///
/// [`Backend::detect`] picks the fastest that this processor has. Among those with
/// [fused multiply-add](Backend::is_fused) the choice changes the speed and nothing else: they compute the same bits.
///
/// ```
/// use fused_mlp::Backend;
///
/// let fastest = Backend::detect();
/// assert!(Backend::available().any(|backend| backend == fastest));
/// let specification: Backend = "scalar".parse()?;
/// assert_eq!(specification.name(), "scalar");
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Backend(Token);

/// Declares the backends, slowest first: module, which is also the name, token, and whether a kernel is worth compiling for each
/// model (`native`), or not (`general`), or only on processors for which there is no other backend (`last_resort`).
macro_rules! backends {
    ($($(#[$processor:meta])? $name:ident::$Token:ident, $kind:ident;)*) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Token {
            $($(#[$processor])? $Token(super::$name::$Token)),*
        }

        impl Backend {
            /// Every name that some processor knows; [`available`](Backend::available) lists those of this one.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// The backends that this processor can run, slowest first.
            pub fn available() -> impl Iterator<Item = Self> {
                let detected = [$($(#[$processor])? super::$name::$Token::detect().map(Token::$Token)),*];
                detected.into_iter().flatten().map(Self)
            }

            /// One of [`NAMES`](Backend::NAMES).
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($(#[$processor])? Token::$Token(_) => stringify!($name)),*
                }
            }

            /// Runs `kernel` with this backend's instructions.
            #[inline]
            pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
                match self.0 {
                    $($(#[$processor])? Token::$Token(token) => token.enter(kernel)),*
                }
            }

            /// Runs `kernel` if this backend has instructions of its own, else gives it back.
            ///
            /// It is for kernels compiled once for each model, which would be wasted on the specification and the portable
            /// backend.
            #[inline]
            pub(crate) fn run_if_native<K: Kernel>(self, kernel: K) -> Result<K::Output, K> {
                match self.0 {
                    $($(#[$processor])? Token::$Token(token) => backends!(@if_native $kind, token, kernel)),*
                }
            }

            /// Runs a kernel that a release build runs only where [`run_if_native`](Self::run_if_native) does not, and compiles
            /// only for these backends.
            pub(crate) fn run_general<K: Kernel>(self, kernel: K) -> K::Output {
                match self.0 {
                    $($(#[$processor])? Token::$Token(token) => backends!(@general $kind, token, kernel)),*
                }
            }
        }
    };
    (@if_native native, $token:ident, $kernel:ident) => {
        Ok($token.enter($kernel))
    };
    (@if_native general, $token:ident, $kernel:ident) => {{
        let _ = $token;
        Err($kernel)
    }};
    (@if_native last_resort, $token:ident, $kernel:ident) => {
        if cfg!(target_arch = "x86_64") {
            backends!(@if_native general, $token, $kernel)
        } else {
            backends!(@if_native native, $token, $kernel)
        }
    };
    (@general last_resort, $token:ident, $kernel:ident) => {
        if cfg!(target_arch = "x86_64") {
            backends!(@general general, $token, $kernel)
        } else {
            backends!(@general native, $token, $kernel)
        }
    };
    (@general general, $token:ident, $kernel:ident) => {
        $token.enter($kernel)
    };
    (@general native, $token:ident, $kernel:ident) => {
        if cfg!(debug_assertions) {
            $token.enter($kernel)
        } else {
            unreachable!("`run_if_native` has run it")
        }
    };
}

backends! {
    scalar::Scalar, general;
    portable::Portable, last_resort;
    #[cfg(target_arch = "x86_64")]
    avx2::Avx2, native;
    #[cfg(target_arch = "x86_64")]
    avx512::Avx512, native;
}

impl Backend {
    /// The specification: plain loops, slow, the bits that all others are held to.
    pub const SCALAR: Self = Self(Token::Scalar(super::scalar::Scalar));

    /// The `wide` crate, as fast as the flags that it was compiled with allow.
    pub const PORTABLE: Self = Self(Token::Portable(super::portable::Portable));

    /// The fastest backend that this processor has. No flag is needed, here or in the program that embeds this crate.
    ///
    /// Without the feature `std` the processor cannot be asked: the fastest is then among those that the target was compiled
    /// for, by `-C target-feature=+avx2,+fma` or the like.
    #[must_use]
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self::PORTABLE)
    }

    /// Whether a multiply-add rounds once. Backends for which this holds give the same bits. Where it does not
    /// (`portable` on a target without the instruction, such as plain x86-64 or wasm), results agree within rounding.
    #[must_use]
    pub fn is_fused(self) -> bool {
        struct IsFused;
        impl Kernel for IsFused {
            type Output = bool;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> bool {
                S::FUSED
            }
        }
        self.run(IsFused)
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self::detect()
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Backend({})", self.name())
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    /// # Errors
    ///
    /// [`Error::UnknownBackend`] for a name outside [`Backend::NAMES`], [`Error::UnavailableBackend`] for one that this
    /// processor lacks.
    fn from_str(name: &str) -> Result<Self, Error> {
        let known = Self::NAMES.iter().find(|known| **known == name);
        let &name = known.ok_or_else(|| Error::UnknownBackend { name: name.into() })?;
        Self::available()
            .find(|backend| backend.name() == name)
            .ok_or(Error::UnavailableBackend { name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::tests::VECTORS;
    use crate::simd::LANES;

    /// How many of the multiply-adds that show it are rounded once, by either form of the operation.
    struct CountFused;

    impl Kernel for CountFused {
        type Output = [usize; 2];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> [usize; 2] {
            let mut counts = [0; 2];
            for [a, b, c, expected] in VECTORS {
                let [x, negated, y, z] =
                    [a, a ^ (1 << 31), b, c].map(|bits| simd.splat(f32::from_bits(bits)));
                let sums = [simd.mul_add(x, y, z), simd.neg_mul_add(negated, y, z)];
                for (count, sum) in counts.iter_mut().zip(sums) {
                    let mut lanes = [0.0; LANES];
                    simd.store(sum, &mut lanes);
                    *count += usize::from(lanes.iter().all(|lane| lane.to_bits() == expected));
                }
            }
            counts
        }
    }

    #[test]
    fn a_backend_that_says_it_is_fused_rounds_every_multiply_add_once() {
        for backend in Backend::available() {
            let counts = backend.run(CountFused);
            assert_eq!(
                counts == [VECTORS.len(); 2],
                backend.is_fused(),
                "{backend} rounds {counts:?} of {} once",
                VECTORS.len()
            );
        }
    }
}
